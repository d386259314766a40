/** A process that uses up its descriptors, then probes the address of its argument and writes the result to stdout. */
import { openSync, writeSync } from 'node:fs'
import { createProber } from '../src/prober.ts'

const start = performance.now()
const clock = {
  now: () => Math.floor(performance.now() - start),
  wall: () => Date.now(),
  after(ms: number, callback: () => void) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}
const url = process.argv[2] ?? ''
const prober = createProber({ clock })
try {
  for (;;) openSync('/dev/null', 'r')
} catch {
  // EMFILE: that was the last one
}
prober.probe(
  {
    runner: 'r1',
    incarnation: 1,
    probe: 1,
    kind: 'regular',
    url,
    method: 'GET',
    path: '/',
    timeoutMs: 5_000,
  },
  (result) => {
    writeSync(1, JSON.stringify(result))
    process.exit(0)
  },
)

/**
 * What a recorded day of 1 000 runners costs to replay and to ask a what-if of. The journal is made by a simulated world (an hour;
 * `--hours 24` for the day) and read from files, as `health replay` does. Prints seconds, and seconds per recorded day.
 */
import { mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beginWhatIf, encodeHeader, encodeLine, type HealthEvent } from '@health/core'
import { World } from '@health/testkit'
import { openJournal } from '../src/command/journal-source.ts'

const at = process.argv.indexOf('--hours')
const hours = at < 0 ? 1 : Number(process.argv[at + 1])
const RUNNERS = 1_000

const folder = mkdtempSync(join(tmpdir(), 'health-replay-'))
try {
  const file = openSync(join(folder, '00000001.jsonl'), 'w')
  writeSync(file, encodeHeader({}, 1).replace('}\n', ',"seq":0,"at":0}\n'))
  let text = ''
  let events = 0
  let bytes = 0
  const flush = (): void => {
    bytes += writeSync(file, text)
    text = ''
  }
  const world: World = new World({
    seed: 1,
    until: hours * 3_600_000,
    apps: [
      {
        id: 'demo/app',
        options: {
          healthCheck: { path: '/health' },
          startupTimeoutSeconds: 60,
          minConcurrency: RUNNERS,
          maxConcurrency: RUNNERS,
          keepAliveSeconds: 600,
        },
      },
    ],
    requestEveryMs: 200,
    workMs: 2_000,
    queued: 0,
    // One life in fifty is bad for a few minutes an hour; one probe in two thousand fails anywhere.
    sick: ({ life }, now) =>
      life % 50 === 7 && now % 3_600_000 > 1_800_000 && now % 3_600_000 < 2_100_000
        ? { share: 0.6, why: 'status' }
        : { share: 0.0005, why: 'timeout' },
    watch: (_fleet, event: HealthEvent, { seq }) => {
      if (seq > 0) {
        text += encodeLine(event, seq)
        events++
        if (text.length > 1 << 20) flush()
      }
      // The world remembers everything; a day of it does not fit.
      world.journal.length = world.decisions.length = world.commands.length = 0
    },
  })
  world.run()
  flush()
  process.stdout.write(
    `${RUNNERS} runners, ${hours} h: ${events} events, ${Math.round(bytes / 1e6)} MB, ${Math.round(bytes / events)} B an event\n`,
  )
  for (const [name, change] of [
    ['what really happened', {}],
    ['failureThreshold 2', { failureThreshold: 2 }],
    ['failureThreshold 5', { failureThreshold: 5 }],
  ] as const) {
    const before = process.cpuUsage()
    const begun = performance.now()
    const journal = await openJournal(folder)
    const following = beginWhatIf(journal.start, change)
    await journal.read((event) => following.take(event))
    const { counts } = following.finish()
    const wall = (performance.now() - begun) / 1000
    const { user, system } = process.cpuUsage(before)
    const cpu = (user + system) / 1e6
    process.stdout.write(
      `${name.padEnd(22)} ${wall.toFixed(2)} s, CPU ${cpu.toFixed(2)} s, ${((cpu * 24) / hours).toFixed(1)} s a day; ${JSON.stringify(counts)}\n`,
    )
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

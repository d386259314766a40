/** A supervisor made to be killed: starts the one runner of its argument, writes the fact to stdout and stays. */
import type { Cancel, Clock, ProvisionOrder } from '@health/core'
import { createProcessHost } from '../src/process-host.ts'

const { logDir, order } = JSON.parse(process.argv[2] ?? '') as {
  logDir: string
  order: ProvisionOrder
}
const clock: Clock = {
  now: () => Math.floor(performance.now()),
  wall: () => Date.now(),
  after(ms, callback): Cancel {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}
const host = createProcessHost({ clock, logDir })
host.listen((fact) => console.log(JSON.stringify(fact)))
host.provision(order)
setInterval(() => undefined, 1_000)

/**
 * One host for both kinds of runners: orders with a `url` go to the servers that already run, all others to processes.
 * It only tells them apart; it decides nothing else.
 */
import type { Host } from '@health/core'
import { createProcessHost, type ProcessHostOptions } from './process-host.ts'
import { createUrlHost } from './url-host.ts'

/** A {@link Host} for processes and for servers by URL. */
export function createHost(options: ProcessHostOptions): Host {
  return joinHosts(createProcessHost(options), createUrlHost())
}

/** Sends each order where it belongs. An order for a runner that a host does not know is ignored there, so both may be asked. */
export function joinHosts(processes: Host, urls: Host): Host {
  return {
    provision: (order) => (order.url === null ? processes : urls).provision(order),
    stop(runner, incarnation) {
      processes.stop(runner, incarnation)
      urls.stop(runner, incarnation)
    },
    kill(runner, incarnation) {
      processes.kill(runner, incarnation)
      urls.kill(runner, incarnation)
    },
    adopt: (record) => (record.pid === null ? urls : processes).adopt(record),
    listen(report) {
      processes.listen(report)
      urls.listen(report)
    },
    async close(options) {
      await Promise.all([processes.close(options), urls.close(options)])
    },
  }
}

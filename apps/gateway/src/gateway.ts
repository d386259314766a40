/**
 * What the parts of the HTTP surface share: the fleet, the queue, connections, timeouts and what waits. It holds them together
 * and decides nothing.
 */
import type { Clock, Fleet, Queue } from '@health/core'
import type { Supervisor } from '@health/supervisor'
import type { Gate } from './auth.ts'
import type { CallLog } from './call-log.ts'
import type { Config } from './config.ts'
import type { Dispatcher } from './dispatch.ts'
import type { ExitWatch } from './exit-watch.ts'
import type { Lanes } from './lane.ts'
import type { Lines } from './line.ts'
import type { Metrics } from './metric.ts'
import type { QueueTrouble } from './queue-trouble.ts'
import type { RunnerRoutes } from './runner-route.ts'

/** Writes one log line; the words are those of the journal and the metrics. */
export type Log = (line: {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly event: string
  readonly [field: string]: unknown
}) => void

/** Everything a route may use. */
export interface Gateway {
  /** The configuration as it is now; a reload replaces it. */
  readonly config: () => Config
  readonly supervisor: Supervisor
  readonly fleet: Fleet
  readonly clock: Clock
  readonly queue: Queue
  readonly gate: Gate
  readonly lanes: Lanes
  readonly routes: RunnerRoutes
  readonly exits: ExitWatch
  readonly lines: Lines
  readonly dispatcher: Dispatcher
  readonly calls: CallLog
  readonly metrics: Metrics
  readonly trouble: QueueTrouble
  readonly log: Log
  /** True from the moment shutdown began: nothing new is leased or placed. */
  readonly closing: () => boolean
}

/**
 * Every order that `step` may give: imperative, idempotent by its `id`, which is derived from its subject, so that an order
 * repeated after a crash is the same order. Carrying it out is an adapter's work.
 */
import type { ProbeKind } from './event.ts'
import type { RequestRecord } from './retry.ts'

/** Why a life ended: a closed set, never text. */
export const reasons = [
  'setup_failed',
  'startup_timeout',
  'health_check_failed',
  'manual_health_check_failed',
  'tcp_check_failed',
  'server_error',
  'stop_header',
  'connection_lost',
  'crashed',
  'request_timeout',
  'keep_alive_expired',
  'scaled_down',
  'stopped',
  'killed',
  'drained',
  'node_drained',
  'device_fault',
  'heartbeat_missed',
  'replaced',
  'shutdown',
  'orphaned',
  'app_removed',
] as const
/** One of {@link reasons}. */
export type Reason = (typeof reasons)[number]

/** Names of alerts: a closed set. */
export const alerts = [
  'app.degraded',
  'guard.panic',
  'node.cordoned',
  'node.escalated',
  'node.suspect',
  'telemetry.unknown',
  'request.poison',
  'checker.unwell',
  'journal.failing',
] as const
/** One of {@link alerts}. */
export type AlertName = (typeof alerts)[number]

interface Order {
  /** Deterministic: the same order has the same id, after a crash too. */
  readonly id: string
}
interface RunnerOrder extends Order {
  readonly runner: string
  readonly incarnation: number
}

/** Every order, with its fields. */
export type Command =
  | (RunnerOrder & {
      /** Start a process (or adopt `url`). Answered by process.started or provision.refused. */
      readonly type: 'provision'
      readonly app: string
      readonly revision: string
      readonly node: string
      readonly devices: readonly string[]
      readonly url: string | null
      readonly replaces: string | null
    })
  /** SIGTERM to the group, SIGKILL when `graceMs` has passed without an end (the core sends `kill` itself). */
  | (RunnerOrder & { readonly type: 'stop'; readonly graceMs: number; readonly reason: Reason })
  | (RunnerOrder & { readonly type: 'kill' })
  | (RunnerOrder & {
      readonly type: 'probe'
      readonly probe: number
      readonly kind: ProbeKind
      readonly timeoutMs: number
      /** For `port`: asked again this often, silently, until it passes or is cancelled. */
      readonly everyMs?: number
    })
  | (RunnerOrder & { readonly type: 'probe.cancel'; readonly probe: number })
  /** Say how many attempts are in flight: answered by work.counted. Given when a runner stops taking new work. */
  | (RunnerOrder & { readonly type: 'count' })
  | (Order & {
      readonly type: 'requeue'
      readonly request: string
      readonly attempt: number
      readonly delayMs: number
      /** The runner that failed; another ready one is preferred. */
      readonly avoid: string | null
      readonly condition: string
      /** What the queue keeps for the next decision. */
      readonly record: RequestRecord
    })
  | (Order & { readonly type: 'deliver'; readonly request: string; readonly attempt: number })
  | (Order & {
      /** A final answer of the gateway's own. */
      readonly type: 'reject'
      readonly request: string
      readonly status: number
      readonly errorType: string
      /** Keep the request for inspection (`poison_request`). */
      readonly quarantine: boolean
      readonly cause: string
    })
  | (RunnerOrder & {
      /** `POST {path}/cancel` to the runner. */
      readonly type: 'cancel'
      readonly request: string
      readonly attempt: number
      /** Cut the attempt after this long; null: never. */
      readonly cutAfterMs: number | null
    })
  | (Order & {
      readonly type: 'alert'
      readonly name: AlertName
      readonly subject: {
        readonly kind: 'app' | 'node' | 'request' | 'gateway' | 'runner'
        readonly id: string
      }
      /** What it is about, where a subject may have several troubles at once: an alert is a repetition only when this is equal too. */
      readonly about?: string
      readonly text: string
    })
  | (Order & {
      /** Remediation of a node or one of its devices; `drain` reaches runners as their own orders. */
      readonly type: 'cordon' | 'uncordon' | 'reset' | 'reboot' | 'validate' | 'escalate' | 'retire'
      readonly node: string
      readonly device: string | null
    })

/** Name of an order. */
export type CommandType = Command['type']

/** No commands, one shared frozen list. */
export const NO_COMMANDS: readonly Command[] = Object.freeze([])

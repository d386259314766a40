/** Which page of the runbook says what to do after a rule has decided. A rule that needs nobody has no page. */

/** Pages by rule; `*` at the end stands for every rule that begins so. */
const pages: Readonly<Record<string, string>> = {
  'start.failed': 'setup_failed',
  'start.deadline': 'startup_timeout',
  'start.backoff': 'app.degraded',
  'start.give_up': 'app.degraded',
  'health.fail': 'health_check_failed',
  'health.grace': 'health_check_failed',
  'health.threshold': 'health_check_failed',
  'health.slow': 'health_check_failed',
  'health.heartbeat': 'heartbeat_missed',
  'health.manual': 'manual_health_check_failed',
  'outcome.error': 'tcp_check_failed',
  'outcome.gateway_timeout': 'tcp_check_failed',
  'outcome.tcp_check': 'tcp_check_failed',
  'outcome.server_error': 'server_error',
  'outcome.stop_header': 'stop_header',
  'outcome.connection_lost': 'connection_lost',
  'outcome.crashed': 'crashed',
  'outcome.request_timeout': 'request_timeout',
  'retry.poison': 'request.poison',
  'order.stop': 'stopped',
  'order.kill': 'killed',
  'order.drain': 'drained',
  'order.shutdown': 'shutdown',
  'pool.keep_alive': 'keep_alive_expired',
  'pool.scaled_down': 'scaled_down',
  'pool.unneeded': 'scaled_down',
  'pool.replaced': 'replaced',
  'pool.app_removed': 'app_removed',
  'node.escalate': 'node.escalated',
  'order.escalate': 'node.escalated',
  'node.doubt': 'node.suspect',
  'node.cordon': 'node.cordoned',
  'order.cordon': 'node.cordoned',
  'node.drain': 'node.cordoned',
}

/** Pages by the guard that withheld a verdict. */
const guards: Readonly<Record<string, string>> = {
  'guard.self': 'checker.unwell',
  'guard.panic': 'guard.panic',
  'guard.cap': 'guard.panic',
  'guard.rate': 'guard.panic',
}

/** Folder of the pages, in the repository. */
export const RUNBOOK = 'docs/guides/runbook'

/** Every page that this table names. */
export const runbookPages: readonly string[] = [
  ...new Set([...Object.values(pages), ...Object.values(guards)]),
]

/** The page about a decision; null when there is nothing to do. `kind`: whose decision it is; a node's signals share a page. */
export function runbookPage(kind: string, rule: string, because: string | null): string | null {
  const name =
    (because !== null && Object.hasOwn(guards, because) ? guards[because] : undefined) ??
    (Object.hasOwn(pages, rule) ? pages[rule] : undefined) ??
    (kind === 'node' ? 'node.cordoned' : isSignal(rule) ? 'device_fault' : undefined)
  return name === undefined ? null : `${RUNBOOK}/${name}.md`
}

/** Rules of runners, requests and bookkeeping are all named above or below; what else ends a runner comes from its device. */
const isSignal = (rule: string): boolean =>
  !/^(start|health|outcome|retry|order|pool|guard|stop|lease|cancel)(\.|$)/.test(rule)

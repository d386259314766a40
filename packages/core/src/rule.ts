/**
 * Every rule by its name: the same name in the chart, in the decision it writes, in the reference and in its test. `fact`: nothing that
 * was recorded says what another number of the policy would have brought.
 */

/** What a rule says. */
export interface Rule {
  readonly says: string
  /** Why an ending by it is a fact and not a doubt; absent for doubts, orders that are not endings, and bookkeeping. */
  readonly fact?: string
  /** The option whose limit was reached: a larger one would have let it go on, to an end that no journal knows. */
  readonly limit?: string
}

/** All rules. */
export const rules = {
  // start
  'start.granted': { says: 'The fleet lets a start begin.' },
  'start.begun': { says: 'The process lives; its port is awaited.' },
  'start.port': { says: 'The port opened; with readyAfterFirstPass one pass is awaited.' },
  'start.ready': { says: 'The runner is ready: its port opened, or its first check passed.' },
  'start.deadline': {
    says: 'Not ready in time: no open port within startupTimeoutSeconds or, with readyAfterFirstPass, no pass within the start period.',
    fact: 'it was not ready in time',
    limit: 'startupTimeoutSeconds',
  },
  'start.failed': {
    says: 'The process ended or reported a failed setup before it was ready.',
    fact: 'the process ended or reported a failed setup before it was ready',
  },
  'start.backoff': {
    says: 'A start was refused or is owed: it waits, longer after each consecutive failure.',
  },
  'start.give_up': {
    says: 'giveUpStarts failures within giveUpWindowSeconds: the app is degraded; starts go on at the capped delay.',
  },
  // health
  'health.pass': { says: 'A regular check passed while failing; more may be needed.' },
  'health.fail': { says: 'A regular check failed and counts.' },
  'health.grace': {
    says: 'A regular check failed within the start period: recorded, not counted.',
  },
  'health.suspect_probe': {
    says: 'An extra check while failing failed: it may acquit, never convict.',
  },
  'health.threshold': { says: 'The last of failureThreshold consecutive failures.' },
  'health.ended': { says: 'Its checks are configured no more: what they counted is void.' },
  'health.recover': { says: 'successThreshold passes in a row: ready again, counter zero.' },
  'health.manual': {
    says: 'A check that was asked for: one failure ends the runner, a pass refutes the doubt.',
    fact: 'a check that was asked for failed; one failure is enough, whatever threshold and start period say',
  },
  'health.after_error': {
    says: 'After an error whose TCP check passed, one exclusive check is asked for.',
  },
  'health.exclusive': { says: 'An exclusive check waits for work in flight to end, then runs.' },
  'health.exclusive_wait': {
    says: 'Work did not end within exclusiveWaitSeconds: the check is skipped and asked for again later.',
    limit: 'exclusiveWaitSeconds',
  },
  'health.slow': {
    says: 'Three regular checks in a row took over half the timeout: a warning, no verdict.',
  },
  'health.heartbeat': { says: 'A missed heartbeat is a failed regular check on the same counter.' },
  'health.progress': {
    says: 'Busy and silent for progressTimeoutSeconds: verified; real work done refutes it.',
    limit: 'progressTimeoutSeconds',
  },
  // outcome
  'outcome.error': { says: '500, 502 and other 5xx: a TCP check.' },
  'outcome.gateway_timeout': { says: '504: a TCP check, and the queued request is tried again.' },
  'outcome.tcp_check': {
    says: 'One TCP connect after an error: a pass refutes the doubt, a failure ends the runner.',
    fact: 'the port no longer answered after an error',
  },
  'outcome.server_error': {
    says: '503: the runner ends at once.',
    fact: 'a 503 says that the runner is broken; it ends at once',
  },
  'outcome.stop_header': {
    says: 'x-fal-stop-runner on an answer.',
    fact: 'the runner asked to be stopped',
  },
  'outcome.connection_lost': {
    says: 'The connection broke before the answer ended.',
    fact: 'the connection broke before the answer ended',
  },
  'outcome.crashed': {
    says: 'The process ended while it was serving.',
    fact: 'the process ended while it was serving',
  },
  'outcome.request_timeout': {
    says: 'An attempt ran past requestTimeoutSeconds.',
    fact: 'the attempt ran past requestTimeoutSeconds',
    limit: 'requestTimeoutSeconds',
  },
  'outcome.healthy': { says: '1xx to 4xx: healthy.' },
  'outcome.rate_limited': {
    says: '429 from the runner: healthy; the queued request is tried again later.',
  },
  'outcome.client_left': { says: 'The caller left: the runner is told, nothing is judged.' },
  'outcome.not_judged': { says: 'Answers on health paths are passed on and not judged.' },
  // retry
  'retry.delay': { says: 'Doubling delay with full jitter, capped; Retry-After is a lower bound.' },
  'retry.other_runner': { says: 'Another ready runner is preferred over the one that failed.' },
  'retry.deadline': { says: 'The time-to-start limit passed before a start.' },
  'retry.no_retry': { says: 'X-Fal-No-Retry on the request.' },
  'retry.ceiling': { says: 'maxAttempts attempts, the first included.' },
  'retry.poison': { says: 'The request ended poisonThreshold different runners.' },
  'retry.header': { says: 'X-Fal-Needs-Retry on the answer forces or forbids.' },
  'retry.config': {
    says: 'A budget of extra attempts for this condition, of the request or the app.',
  },
  'retry.skip': { says: 'The app skips this condition.' },
  'retry.table': { says: 'The table of outcomes tries this condition again.' },
  'retry.fencing': { says: 'The holder of the lease died or handed it back.' },
  'retry.one_outcome': { says: 'Each request has exactly one final outcome: the last answer.' },
  'lease.granted': { says: 'A queued request was given to a runner.' },
  cancel: { says: 'The caller cancelled.' },
  // orders
  'order.stop': { says: 'An operator stops a runner.', fact: 'an operator ordered it' },
  'order.drain': { says: 'An operator drains a runner.', fact: 'an operator ordered it' },
  'order.kill': { says: 'An operator kills a runner.', fact: 'an operator ordered it' },
  'order.check': { says: 'An operator checks a runner.' },
  'order.shutdown': { says: 'The gateway is shut down.', fact: 'the gateway was shut down' },
  // pool
  'pool.keep_alive': {
    says: 'Idle longer than keepAliveSeconds and not needed by the target.',
    fact: 'it was idle longer than keepAliveSeconds and not needed',
    limit: 'keepAliveSeconds',
  },
  'pool.scaled_down': {
    says: 'More runners than the app may have.',
    fact: 'the app may have fewer runners now',
    limit: 'maxConcurrency',
  },
  'pool.unneeded': {
    says: 'The runner that it was to succeed is well again.',
    fact: 'the runner that it was to succeed is well again',
  },
  'pool.replaced': {
    says: 'A successor of a newer revision took over.',
    fact: 'its successor took over',
  },
  'pool.app_removed': {
    says: 'The app or the address left the configuration.',
    fact: 'its app left the configuration',
  },
  // guards
  'guard.self': { says: 'Our own checker is unwell: verdicts by doubt are void.' },
  'guard.panic': { says: 'Too many doubted at once: endings go one at a time, successor first.' },
  'guard.cap': { says: 'Too many places are out at once.' },
  'guard.rate': { says: 'Too many endings by doubt per second.' },
  'guard.dry_run': { says: 'The rule only observes.' },
  // the end
  'stop.grace': { says: 'The grace period passed: the process is killed.' },
  'stop.exited': { says: 'No process of the runner is left.' },
} as const satisfies Record<string, Rule>

/** Name of a rule. */
export type RuleName = keyof typeof rules

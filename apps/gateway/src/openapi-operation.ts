/**
 * What each operation of the HTTP surface is for, as data: a sentence, what it takes, what it answers. Which routes there are, and which
 * key each asks for, is the server's own list; a test holds the two together.
 */

/** One operation. Schemas are named as in `openapi-schema.ts`. */
export interface Operation {
  readonly says: string
  /** The route that serves it, as the server writes it; the same path without it. */
  readonly route?: string
  readonly query?: Readonly<Record<string, string>>
  /** Schema of a JSON body; `*`: anything. */
  readonly body?: string
  readonly answers: number
  /** Schema of the answer; absent: whatever the runner says, or no JSON. */
  readonly gives?: string
  readonly type?: string
  /** Other statuses with the same answer. */
  readonly also?: readonly number[]
  /** What a runner answers is passed on: any status, any body. */
  readonly relays?: true
  readonly errors?: readonly number[]
}

const RUN = '/run/*'
const QUEUE = '/queue/*'
const replace = 'Replace'
const orders = {
  stop: 'Stops a runner; work in flight ends first.',
  kill: 'Kills a runner at once.',
  drain: 'Drains a runner: it takes nothing new and ends when it is empty.',
}
const nodeOrders = {
  cordon: 'No new runners on a node.',
  uncordon: 'New runners on a node again, after validating.',
  drain: 'Drains the runners of a node; cordons it first.',
  reset: 'Resets a node, or one device of it.',
  reboot: 'Reboots a node.',
  escalate: 'Hands a node over to people.',
  retire: 'Takes a node out for good.',
}
const page = (what: string, gives: string, more: Readonly<Record<string, string>> = {}) =>
  ({
    says: what,
    answers: 200,
    gives,
    query: more,
    ...(Object.keys(more).length > 0 && { errors: [422] }),
  }) as const
const health = (says: string, errors: readonly number[] = [503]): Operation => ({
  says,
  answers: 200,
  gives: 'Health',
  errors,
})
const why = (kind: string): Operation => ({
  says: `Why the last decision about a ${kind} was taken, and the nearest policy that would have decided otherwise.`,
  answers: 200,
  gives: 'Explanation',
  errors: [404],
})

/** Every operation by `METHOD /path`, in the order of the description. */
export const operations: Readonly<Record<string, Operation>> = {
  'POST /run/{owner}/{alias}': {
    says: 'A direct call: any method, any path below; what the runner answers is answered. Never tried again by the server.',
    route: RUN,
    body: '*',
    answers: 200,
    relays: true,
    errors: [400, 404, 413, 429, 503, 504],
  },
  'POST /run/{owner}/{alias}/{path}': {
    says: 'A direct call to a path of the app, which may hold slashes.',
    route: RUN,
    body: '*',
    answers: 200,
    relays: true,
    errors: [400, 404, 413, 429, 503, 504],
  },
  'POST /run/{owner}/{alias}/stream': {
    says: 'A direct call whose answer is a stream of events.',
    route: RUN,
    body: '*',
    answers: 200,
    type: 'text/event-stream',
    relays: true,
    errors: [400, 404, 413, 429, 503, 504],
  },
  'GET /run/{owner}/{alias}/realtime': {
    says: 'A WebSocket to the app: not in this version, always 501.',
    route: RUN,
    answers: 501,
    gives: 'Error',
    errors: [404],
  },
  'POST /queue/{owner}/{alias}': {
    says: 'Submits a request: stored before it is answered, tried again by the rules of retry, one final outcome.',
    route: QUEUE,
    body: '*',
    answers: 200,
    gives: 'Submitted',
    errors: [400, 404, 413, 415, 429, 501, 503, 507],
  },
  'GET /queue/{owner}/{alias}/requests/{id}': {
    says: "A request's answer; 400 while it is not there yet.",
    route: QUEUE,
    answers: 200,
    relays: true,
    errors: [400, 404],
  },
  'GET /queue/{owner}/{alias}/requests/{id}/response': {
    says: "A request's answer; 400 while it is not there yet.",
    route: QUEUE,
    answers: 200,
    relays: true,
    errors: [400, 404],
  },
  'GET /queue/{owner}/{alias}/requests/{id}/status': {
    says: 'Where a request is: IN_QUEUE, IN_PROGRESS, COMPLETED.',
    route: QUEUE,
    query: { logs: '1: with log lines' },
    answers: 200,
    also: [202],
    gives: 'RequestStatus',
    errors: [404],
  },
  'GET /queue/{owner}/{alias}/requests/{id}/status/stream': {
    says: 'The same as a stream of events: not in this version, always 501. Ask for the status instead.',
    route: QUEUE,
    answers: 501,
    gives: 'Error',
  },
  'PUT /queue/{owner}/{alias}/requests/{id}/cancel': {
    says: 'Asks for a cancel: a waiting request ends at once, a running one is told.',
    route: QUEUE,
    answers: 202,
    gives: 'CancelAnswer',
    errors: [400, 404],
  },
  'POST /proxy': {
    says: "The proxy mode of the platform's clients: x-fal-target-url says what is meant; any method.",
    route: '/proxy',
    body: '*',
    answers: 200,
    relays: true,
    errors: [400, 404],
  },
  'GET /.well-known/health-check': {
    says: 'The health check that this server declares for itself, when it is somebody’s runner.',
    answers: 200,
    errors: [404],
  },
  'GET /v1/apps': page('All apps.', 'Apps'),
  'POST /v1/apps/{owner}/{alias}/start': {
    says: 'Tries an app again that a configuration error stopped.',
    answers: 202,
    gives: 'App',
    errors: [404],
  },
  'GET /v1/runners': page('Runners, ended ones of the last day included.', 'Runners', {
    app: 'owner/alias',
    state: 'states and substates, comma-separated',
    limit: '1 to 1000; 1000 without it',
    cursor: '`next` of the page before',
  }),
  'GET /v1/runners/{id}': { says: 'One runner.', answers: 200, gives: 'Runner', errors: [404] },
  ...Object.fromEntries(
    Object.entries(orders).map(([order, says]) => [
      `POST /v1/runners/{id}/${order}`,
      { says, body: replace, answers: 202, gives: 'Runner', errors: [404, 409, 422] },
    ]),
  ),
  'POST /v1/runners/{id}/check': {
    says: 'Checks a runner now, regularly or as if its own answer had asked for it.',
    body: 'Manual',
    answers: 202,
    gives: 'Runner',
    errors: [404, 409, 422],
  },
  'POST /v1/runners/{id}/heartbeat': {
    says: "A runner's sign of life, or that its setup failed; with its own token or an admin key.",
    query: { token: "the runner's own" },
    body: 'Heartbeat',
    answers: 202,
    gives: 'Runner',
    errors: [404, 409, 422],
  },
  'GET /v1/runners/{id}/explain': why('runner'),
  'GET /v1/nodes': page('All nodes with their devices.', 'Nodes'),
  'GET /v1/nodes/{id}': { says: 'One node.', answers: 200, gives: 'Node', errors: [404] },
  ...Object.fromEntries(
    Object.entries(nodeOrders).map(([order, says]) => [
      `POST /v1/nodes/{id}/${order}`,
      {
        says,
        ...(order === 'reset' && { body: 'OneDevice' }),
        answers: 202,
        gives: 'Node',
        errors: [404, 409, 422],
      },
    ]),
  ),
  'GET /v1/nodes/{id}/explain': why('node'),
  'POST /v1/breaker/close': {
    says: 'Rules may cordon nodes again.',
    answers: 202,
    gives: 'Breaker',
  },
  'GET /v1/requests/{id}': {
    says: 'One request with all its attempts.',
    answers: 200,
    gives: 'Request',
    errors: [404],
  },
  'GET /v1/requests/{id}/explain': why('request'),
  'POST /v1/requests/{id}/requeue': {
    says: 'Puts a quarantined request back into the queue.',
    answers: 202,
    gives: 'Request',
    errors: [404, 409],
  },
  'GET /v1/queues/{owner}/{alias}': {
    says: 'How many requests of an app wait, and for how long.',
    answers: 200,
    gives: 'Queue',
    errors: [404],
  },
  'DELETE /v1/queues/{owner}/{alias}': {
    says: 'Ends every waiting request of an app.',
    answers: 200,
    gives: 'Flushed',
    errors: [404],
  },
  'GET /v1/decisions': page('Why orders were or were not given, oldest first.', 'Decisions', {
    since: 'number of the last decision that is known',
    limit: '1 to 1000; 100 without it',
  }),
  'GET /v1/policy': {
    says: 'The tunables in force.',
    query: { app: "owner/alias: this app's" },
    answers: 200,
    gives: 'Policy',
    errors: [404],
  },
  'PUT /v1/policy': {
    says: 'Overrides tunables; null removes an override.',
    query: { app: 'owner/alias: for this app alone' },
    body: 'PolicyChange',
    answers: 200,
    gives: 'Policy',
    errors: [404, 422],
  },
  'POST /v1/reload': {
    says: 'Reads the configuration file again and answers the apps, and the sections that act at the next start; an invalid one changes nothing.',
    answers: 202,
    errors: [409, 422],
  },
  'POST /v1/events': {
    says: 'Facts from outside, one or a list, all or none.',
    body: 'Events',
    answers: 202,
    gives: 'Accepted',
    errors: [422],
  },
  'POST /v1/tokens': {
    says: 'A short-lived token of the same scope or less.',
    body: 'TokenAsked',
    answers: 200,
    gives: 'Token',
    errors: [422],
  },
  'GET /v1/realtime': {
    says: 'The live channel: a WebSocket, or the same as a stream of events.',
    query: {
      token: 'in place of a key',
      topics: 'runners,nodes,requests,decisions,gpu',
      apps: 'owner/alias, comma-separated',
      since: 'number of the last event that is known',
    },
    answers: 200,
    type: 'text/event-stream',
    errors: [422, 426],
  },
  'GET /v1/inspect': {
    says: 'A WebSocket with the frames of the state inspector.',
    answers: 101,
    errors: [426],
  },
  'GET /metrics': { says: 'Numbers for Prometheus.', answers: 200, type: 'text/plain' },
  'GET /openapi.json': { says: 'This description.', answers: 200 },
  'GET /live': health('The process runs.'),
  'GET /livez': health('The process runs.'),
  'GET /ready': health('Takes requests: journal replayed, queue open, not shutting down.'),
  'GET /readyz': health('Takes requests: journal replayed, queue open, not shutting down.'),
  'GET /startup': health('Has started.'),
  'GET /startupz': health('Has started.'),
  'GET /health': health('Everything in one word; degraded answers 200.'),
  'GET /healthz': health('Everything in one word; degraded answers 200.'),
  'GET /health/detailed': {
    says: 'Every check with its numbers; needs a read or admin key.',
    answers: 200,
    gives: 'Health',
    errors: [401, 403],
  },
  'GET /healthz/detailed': {
    says: 'Every check with its numbers; needs a read or admin key.',
    answers: 200,
    gives: 'Health',
    errors: [401, 403],
  },
  'GET /health/groups/{group}': health('The checks of one group.', [404, 503]),
  'GET /health/checks/{check}': health('One check.', [404, 503]),
}

/**
 * JSON Schemas of everything on the wire, made from the tables that check and produce it: events, options, words, reasons. What has no
 * table of its own (the objects that are shown) is written down here once. It validates nothing.
 */
import {
  appOptions,
  deviceFields,
  eventShapes,
  healthCheckOptions,
  nodeStates,
  nodeTunables,
  outcomes,
  reasons,
  retryConditions,
  throttleBits,
  tunables,
  runnerStates,
  runnerWords,
} from '@health/core'
import {
  count,
  date,
  fieldSchema,
  flag,
  list,
  map,
  number,
  object,
  oneOf,
  options,
  orNull,
  overrides,
  ref,
  type Schema,
  text,
} from './json-schema.ts'

const deviceKinds: Readonly<Record<string, Schema>> = {
  text: { type: 'string', minLength: 1, maxLength: 200 },
  number,
  flag,
  numbers: map(number),
  recovery: text,
}

const eventName = (type: string): string => `Event.${type.replaceAll(/[^a-zA-Z0-9._-]/g, '_')}`

/** Each fact as `POST /v1/events` takes it: without `at` and `seq`. */
function events(): Record<string, Schema> {
  const out: Record<string, Schema> = {}
  const types: string[] = []
  for (const [type, shape] of Object.entries(eventShapes)) {
    // A wake-up is no fact.
    if (type === 'time.passed') continue
    types.push(type)
    const fields: Readonly<Record<string, string>> = shape.fields
    out[eventName(type)] = {
      description: `${shape.says} Reported by: ${shape.from}.`,
      ...object(
        {
          type: { const: type },
          ...Object.fromEntries(
            Object.entries(fields).map(([name, kind]) => [name, fieldSchema(kind)]),
          ),
          ...(type === 'app.configured' && { options: ref('AppOptions') }),
          ...(type === 'gpu.sampled' && {
            devices: { ...list(ref('DeviceSample')), maxItems: 64 },
          }),
        },
        Object.entries(fields).flatMap(([name, kind]) => (kind.endsWith('?') ? [name] : [])),
      ),
    }
  }
  out['Event'] = {
    oneOf: types.map((type) => ref(eventName(type))),
    discriminator: {
      propertyName: 'type',
      mapping: Object.fromEntries(types.map((type) => [type, ref(eventName(type))['$ref']])),
    },
  }
  return out
}

const subject = object({
  kind: oneOf(['runner', 'request', 'node']),
  id: text,
  incarnation: count,
})
const decision = object({
  seq: count,
  at: date,
  subject,
  from: text,
  to: text,
  rule: text,
  compared: list(
    object({
      name: text,
      value: number,
      op: oneOf(['<', '<=', '>', '>=']),
      threshold: number,
      option: orNull(text),
    }),
  ),
  enforced: flag,
  because: orNull(text),
  commands: list(text),
  events: list(count),
})

const page = (name: string, of: string, next: Schema): Schema =>
  object({ [name]: list(ref(of)), next: orNull(next) })

/** Every named schema. */
export const schemas: Readonly<Record<string, Schema>> = {
  Error: object(
    {
      detail: text,
      error_type: text,
      message: text,
      path: text,
      // Of a request: unknown, not over yet, over already.
      status: oneOf(['NOT_FOUND', 'IN_QUEUE', 'IN_PROGRESS', 'ALREADY_COMPLETED']),
    },
    ['path', 'status'],
  ),
  App: object({
    id: text,
    degraded: flag,
    target: count,
    runners: map(count),
    inFlight: count,
    waiting: count,
    queued: count,
    healthCheck: orNull({ type: 'object' }),
    policy: { type: 'object' },
  }),
  Runner: object({
    id: text,
    app: text,
    incarnation: count,
    state: oneOf(runnerStates),
    substate: oneOf(runnerWords),
    falState: oneOf([
      'PENDING',
      'SETUP',
      'CRASH_BACKOFF',
      'IDLE',
      'RUNNING',
      'DRAINING',
      'TERMINATING',
      'TERMINATED',
    ]),
    suspect: flag,
    accepting: flag,
    reason: orNull(oneOf(reasons)),
    since: date,
    inFlight: count,
    node: text,
    url: text,
    pid: orNull(count),
    startedAt: orNull(date),
    failures: count,
    effectiveStartPeriodSeconds: number,
    lastProbe: orNull(
      object({
        at: date,
        kind: oneOf(['port', 'regular', 'manual', 'tcp', 'exclusive']),
        ok: flag,
        status: orNull(count),
        error: orNull(text),
        latencyMs: number,
      }),
    ),
    replaces: orNull(text),
  }),
  Node: object({
    id: text,
    state: oneOf(nodeStates),
    cordonedBy: orNull(text),
    since: date,
    runners: list(text),
    devices: list(ref('Device')),
  }),
  Device: object(
    {
      uuid: text,
      index: count,
      name: text,
      state: oneOf(['healthy', 'suspect', 'faulty', 'lost', 'unknown']),
      runner: orNull(text),
      temperatureC: number,
      marginC: number,
      smClockMHz: number,
      maxSmClockMHz: number,
      throttle: list(oneOf(throttleBits.map(([, name]) => name))),
      powerW: number,
      memoryUsedMiB: number,
      utilisationPercent: number,
      lastXid: count,
    },
    [
      'index',
      'name',
      'temperatureC',
      'marginC',
      'smClockMHz',
      'maxSmClockMHz',
      'throttle',
      'powerW',
      'memoryUsedMiB',
      'utilisationPercent',
      'lastXid',
    ],
  ),
  Request: object({
    id: text,
    app: text,
    mode: oneOf(['queue', 'run', 'stream', 'realtime']),
    status: oneOf(['IN_QUEUE', 'IN_PROGRESS', 'COMPLETED']),
    submittedAt: date,
    position: orNull(count),
    priority: oneOf(['normal', 'low']),
    attempts: list(
      object({
        n: count,
        runner: text,
        startedAt: date,
        endedAt: orNull(date),
        outcome: oneOf(Object.keys(outcomes)),
        status: orNull(count),
        rule: text,
        condition: orNull(oneOf([...retryConditions, 'gateway_lost', 'needs_retry'])),
      }),
    ),
    final: orNull(
      object({ status: count, error_type: orNull(text), at: date, cause: text }, ['cause']),
    ),
  }),
  Queue: object({ size: count, oldestSeconds: number }),
  Decision: decision,
  Explanation: object({
    kind: oneOf(['runner', 'request', 'node']),
    id: text,
    decision: ref('Decision'),
    chain: list(object({ seq: count, at: date, type: text, text })),
    counterfactual: orNull(object({ option: text, actual: number, needed: number })),
  }),
  Apps: page('apps', 'App', text),
  Runners: page('runners', 'Runner', text),
  Nodes: page('nodes', 'Node', text),
  Decisions: page('decisions', 'Decision', count),
  Flushed: object({ flushed: count }),
  Accepted: object({ accepted: count, seq: count }),
  Breaker: object({ open: flag }),
  Token: object({ token: text }),
  Health: {
    type: 'object',
    properties: {
      status: oneOf([
        'healthy',
        'degraded',
        'unhealthy',
        'alive',
        'ready',
        'not ready',
        'started',
        'starting',
      ]),
    },
    required: ['status'],
  },
  HealthCheck: {
    ...object(options(healthCheckOptions), Object.keys(healthCheckOptions)),
    required: ['path'],
  },
  AppOptions: {
    ...object({ ...options(appOptions), healthCheck: ref('HealthCheck') }, Object.keys(appOptions)),
  },
  PolicyChange: overrides({ ...tunables, ...nodeTunables }),
  Policy: { type: 'object', description: 'Every option in force, times in seconds.' },
  DeviceSample: object(
    Object.fromEntries(
      Object.entries(deviceFields).map(([name, kind]) => [name, deviceKinds[kind] ?? text]),
    ),
    Object.keys(deviceFields).filter((name) => name !== 'uuid'),
  ),
  ...events(),
}

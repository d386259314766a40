/**
 * The shape of every fact as data: who reports it and which fields it has. Facts from outside are checked against this table
 * (`event-check.ts`), and the reference page is made from it. What a fact means is decided elsewhere.
 */
import type { EventType } from './event.ts'
import { outcomes } from './outcome.ts'

/** Kind of a field. A question mark: may be absent; `|null`: may be null. Counts are whole and never negative; tallies are counts by name. */
export type FieldKind =
  | 'text'
  | 'text?'
  | 'text|null'
  | 'texts'
  | 'texts?'
  | 'count'
  | 'count?'
  | 'count|null'
  | 'integer|null'
  | 'counts'
  | 'counts?'
  | 'ms'
  | 'ms?'
  | 'flag'
  | 'flag?'
  | 'object'
  | 'object?'
  | 'objects'
  | 'tallies'
  | 'tallies|null'
  | 'headers?'
  | 'record'
  | 'record?'
  | `one of ${string}`
  | `one of ${string}?`

/** The fields of the objects that a fact may carry, by their kind. */
export const objectShapes = {
  /** Response headers that change a verdict, already parsed. */
  headers: { stop: 'flag?', check: 'flag?', needsRetry: 'flag?', retryAfterMs: 'ms?' },
  /** What travels with a queued request from attempt to attempt. */
  record: {
    attempts: 'count',
    spent: 'tallies',
    noRetry: 'flag',
    retryConfig: 'tallies|null',
    ended: 'texts',
    cancelled: 'flag',
    expired: 'flag',
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, FieldKind>>>>

/** One fact: its reporter, a sentence, its fields beside `at` and `seq`. */
export interface EventShape {
  readonly from:
    | 'configuration'
    | 'host'
    | 'prober'
    | 'gateway'
    | 'queue'
    | 'telemetry'
    | 'people'
    | 'supervisor'
  readonly says: string
  readonly fields: Readonly<Record<string, FieldKind>>
}

const life = { runner: 'text', incarnation: 'count' } as const
const probe = {
  ...life,
  probe: 'count',
  kind: 'one of port,regular,manual,tcp,exclusive',
  latencyMs: 'ms',
  status: 'count?',
  why: 'one of status,refused,reset,timeout,invalid?',
  detail: 'text?',
} as const
const ordered = { runner: 'text', by: 'text', replace: 'flag?', inFlight: 'count' } as const
const nodeOrder = { node: 'text', device: 'text?', by: 'text' } as const
const source = {
  node: 'text',
  source: 'text',
  why: 'one of exited,hung,unkillable,invalid,recovered',
  detail: 'text',
} as const
const remedy = {
  node: 'text',
  device: 'text?',
  passed: 'flag',
  detail: 'text',
  answers: 'text?',
} as const

/** Every fact by its type. */
export const eventShapes = {
  'app.configured': {
    from: 'configuration',
    says: 'An app exists with these options; told again when they change.',
    fields: { app: 'text', options: 'object', policy: 'object', revision: 'text', urls: 'texts?' },
  },
  'app.removed': {
    from: 'configuration',
    says: 'An app left the configuration; its runners drain.',
    fields: { app: 'text' },
  },
  'policy.configured': {
    from: 'configuration',
    says: 'The global tunables are these; one that is not named has its default. Overrides stay.',
    fields: { policy: 'object' },
  },
  'policy.changed': {
    from: 'configuration',
    says: 'Tunables were overridden; null removes an override.',
    fields: { app: 'text|null', change: 'object', by: 'text' },
  },
  'core.started': {
    from: 'supervisor',
    says: 'A supervisor began, or began again: probes in flight and gauges of before are void.',
    fields: { version: 'text', wall: 'ms' },
  },
  'process.started': {
    from: 'host',
    says: 'The process of a runner lives.',
    fields: { ...life, pid: 'count|null', url: 'text', startTime: 'text?', answers: 'text?' },
  },
  'process.adopted': {
    from: 'host',
    says: 'A process of an earlier supervisor was taken over.',
    fields: life,
  },
  'provision.refused': {
    from: 'host',
    says: 'A process could not be started.',
    fields: { ...life, why: 'one of no_capacity,bad_config', detail: 'text', answers: 'text?' },
  },
  'port.opened': {
    from: 'prober',
    says: 'The port of a runner accepts.',
    fields: { ...life, latencyMs: 'ms' },
  },
  'setup.failed': {
    from: 'host',
    says: 'A runner reported that its setup failed.',
    fields: { ...life, detail: 'text' },
  },
  'process.exited': {
    from: 'host',
    says: 'No process of the runner is left.',
    fields: { ...life, code: 'integer|null', signal: 'text|null', answers: 'text?' },
  },
  'probe.passed': { from: 'prober', says: 'A probe was answered well.', fields: probe },
  'probe.failed': {
    from: 'prober',
    says: 'A probe was answered badly or not at all.',
    fields: probe,
  },
  'probe.errored': {
    from: 'prober',
    says: 'A probe could not be made because of us; it accuses nobody.',
    fields: probe,
  },
  'control.ended': {
    from: 'supervisor',
    says: 'Our own control probe ended.',
    fields: { passed: 'flag', latencyMs: 'ms' },
  },
  'attempt.ended': {
    from: 'gateway',
    says: 'An attempt ended in a way that crosses a rule, or on a runner that is not ready and open.',
    fields: {
      ...life,
      app: 'text',
      request: 'text',
      attempt: 'count',
      mode: 'one of queue,run,stream,realtime',
      outcome: `one of ${Object.keys(outcomes).join(',')}`,
      status: 'count|null',
      headers: 'headers?',
      cut: 'one of refused,connect_timeout,disconnected,incomplete?',
      inFlight: 'count',
      record: 'record?',
    },
  },
  'traffic.counted': {
    from: 'gateway',
    says: 'Healthy traffic of one app, summed: arrays for the runners that changed.',
    fields: {
      app: 'text',
      runners: 'texts',
      started: 'counts',
      ended: 'counts',
      served: 'counts',
      inFlight: 'counts',
      waiting: 'count',
      queued: 'count',
    },
  },
  'work.counted': {
    from: 'gateway',
    says: 'Attempts in flight on a runner that takes nothing new.',
    fields: { ...life, inFlight: 'count', answers: 'text?' },
  },
  'heartbeat.received': { from: 'gateway', says: 'A runner gave a sign of life.', fields: life },
  'attempt.stalled': {
    from: 'gateway',
    says: 'No byte of any answer came for progressTimeoutSeconds.',
    fields: { ...life, inFlight: 'count' },
  },
  'request.cancelled': {
    from: 'gateway',
    says: 'The caller asked for a cancel, or the queue was flushed.',
    fields: {
      app: 'text',
      request: 'text',
      runner: 'text?',
      attempt: 'count?',
      cause: 'one of caller,flushed',
    },
  },
  'request.expired': {
    from: 'queue',
    says: 'The time-to-start limit passed before a start.',
    fields: { app: 'text', request: 'text' },
  },
  'lease.expired': {
    from: 'queue',
    says: 'The holder of a lease died or let it pass.',
    fields: { app: 'text', request: 'text', attempt: 'count', record: 'record' },
  },
  'order.stop': {
    from: 'people',
    says: 'Stop a runner; work in flight ends first.',
    fields: ordered,
  },
  'order.drain': {
    from: 'people',
    says: 'Drain a runner; work in flight ends first.',
    fields: ordered,
  },
  'order.kill': { from: 'people', says: 'Kill a runner at once.', fields: ordered },
  'order.check': {
    from: 'people',
    says: 'Check a runner now.',
    fields: { runner: 'text', by: 'text', manual: 'flag' },
  },
  'order.start': {
    from: 'people',
    says: 'Try an app again that a configuration error stopped.',
    fields: { app: 'text', by: 'text' },
  },
  'order.shutdown': {
    from: 'people',
    says: 'The fleet ends; with keepRunners the processes stay.',
    fields: { by: 'text', keepRunners: 'flag' },
  },
  'clock.resumed': {
    from: 'supervisor',
    says: 'The supervisor had stood still.',
    fields: { gapMs: 'ms', wall: 'ms' },
  },
  'time.passed': { from: 'supervisor', says: 'A wake-up; never journaled.', fields: {} },
  'gpu.sampled': {
    from: 'telemetry',
    says: 'Readings of the devices of a node.',
    fields: { node: 'text', devices: 'objects' },
  },
  'gpu.xid': {
    from: 'telemetry',
    says: 'The driver reported an error of a device.',
    fields: {
      node: 'text',
      device: 'text',
      xid: 'count',
      text: 'text',
      boot: 'text',
      sequence: 'count',
      pid: 'count?',
      lineage: 'counts?',
    },
  },
  'gpu.lost': {
    from: 'telemetry',
    says: 'A device no longer answers.',
    fields: { node: 'text', device: 'text', detail: 'text' },
  },
  'source.failed': {
    from: 'telemetry',
    says: 'A telemetry source died or hangs: a fact about the source.',
    fields: source,
  },
  'source.recovered': {
    from: 'telemetry',
    says: 'A telemetry source works again.',
    fields: source,
  },
  'node.configured': {
    from: 'configuration',
    says: 'A node exists with these devices and these means of repair.',
    fields: {
      node: 'text',
      devices: 'texts',
      canReset: 'flag',
      canReboot: 'flag',
      canValidate: 'flag',
      boot: 'text?',
      policy: 'object?',
    },
  },
  'node.reset.ended': { from: 'host', says: 'A reset ended.', fields: remedy },
  'node.reboot.ended': { from: 'host', says: 'A reboot ended.', fields: remedy },
  'node.validate.ended': {
    from: 'host',
    says: 'The check of a repaired node ended.',
    fields: remedy,
  },
  'order.cordon': { from: 'people', says: 'No new runners on a node.', fields: nodeOrder },
  'order.uncordon': {
    from: 'people',
    says: 'New runners on a node again, after validating.',
    fields: nodeOrder,
  },
  'order.drain-node': {
    from: 'people',
    says: 'Drain the runners of a node; cordons it first.',
    fields: nodeOrder,
  },
  'order.reset': { from: 'people', says: 'Reset a node or device.', fields: nodeOrder },
  'order.reboot': { from: 'people', says: 'Reboot a node.', fields: nodeOrder },
  'order.escalate': { from: 'people', says: 'Hand a node over to people.', fields: nodeOrder },
  'order.retire': { from: 'people', says: 'Take a node out for good.', fields: nodeOrder },
  'order.close-breaker': {
    from: 'people',
    says: 'Rules may cordon again.',
    fields: { by: 'text' },
  },
} as const satisfies Record<EventType, EventShape>

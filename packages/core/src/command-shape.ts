/** The shape of every order as data: who carries it out, its id, its fields. The reference page is made from it. */
import type { CommandType } from './command.ts'
import type { FieldKind } from './event-shape.ts'

/** One order. */
export interface CommandShape {
  readonly to: 'host' | 'prober' | 'gateway' | 'queue' | 'telemetry' | 'people'
  readonly says: string
  /** Pattern of its id: the same order has the same id, after a crash too. */
  readonly id: string
  readonly fields: Readonly<Record<string, FieldKind>>
}

const life = { runner: 'text', incarnation: 'count' } as const
const remedy = { node: 'text', device: 'text|null' } as const

/** Every order by its type. */
export const commandShapes = {
  provision: {
    to: 'host',
    says: 'Start a process, or adopt the server at `url`. Answered by process.started or provision.refused.',
    id: 'provision:RUNNER.INCARNATION[:TRY]',
    fields: {
      ...life,
      app: 'text',
      revision: 'text',
      node: 'text',
      devices: 'texts',
      url: 'text|null',
      replaces: 'text|null',
    },
  },
  stop: {
    to: 'host',
    says: 'SIGTERM to the process group; the core orders `kill` when the grace has passed. Answered by process.exited.',
    id: 'stop:RUNNER.INCARNATION',
    fields: { ...life, graceMs: 'ms', reason: 'text' },
  },
  kill: {
    to: 'host',
    says: 'SIGKILL to the process group. Answered by process.exited.',
    id: 'kill:RUNNER.INCARNATION',
    fields: life,
  },
  probe: {
    to: 'prober',
    says: 'Ask the runner. Answered by probe.passed, probe.failed or probe.errored; a `port` probe repeats silently until it passes, answered by port.opened.',
    id: 'probe:RUNNER.INCARNATION:N',
    fields: {
      ...life,
      probe: 'count',
      kind: 'one of port,regular,manual,tcp,exclusive',
      timeoutMs: 'ms',
      everyMs: 'count?',
    },
  },
  'probe.cancel': {
    to: 'prober',
    says: 'Forget a probe.',
    id: 'probe.cancel:RUNNER.INCARNATION:N',
    fields: { ...life, probe: 'count' },
  },
  count: {
    to: 'gateway',
    says: 'Say how many attempts are in flight on a runner that takes nothing new. Answered by work.counted.',
    id: 'count:RUNNER.INCARNATION:SEQ',
    fields: life,
  },
  requeue: {
    to: 'queue',
    says: 'Put the request back, to start after the delay, on another runner if there is one.',
    id: 'requeue:REQUEST:ATTEMPT',
    fields: {
      request: 'text',
      attempt: 'count',
      delayMs: 'ms',
      avoid: 'text|null',
      condition: 'text',
      record: 'object',
    },
  },
  deliver: {
    to: 'queue',
    says: "The attempt's answer is the final one.",
    id: 'deliver:REQUEST:ATTEMPT',
    fields: { request: 'text', attempt: 'count' },
  },
  reject: {
    to: 'queue',
    says: 'A final answer of our own.',
    id: 'reject:REQUEST:ATTEMPT',
    fields: {
      request: 'text',
      status: 'count',
      errorType: 'text',
      quarantine: 'flag',
      cause: 'text',
    },
  },
  cancel: {
    to: 'gateway',
    says: '`POST {path}/cancel` to the runner; cut the attempt after `cutAfterMs`, never when null.',
    id: 'cancel:REQUEST:ATTEMPT',
    fields: { ...life, request: 'text', attempt: 'count', cutAfterMs: 'count|null' },
  },
  alert: {
    to: 'people',
    says: 'Tell somebody.',
    id: 'alert:NAME:KIND:ID:N',
    fields: { name: 'text', subject: 'object', about: 'text?', text: 'text' },
  },
  cordon: {
    to: 'telemetry',
    says: 'No new runners on the node, also outside of this fleet.',
    id: 'cordon:NODE:N',
    fields: remedy,
  },
  uncordon: {
    to: 'telemetry',
    says: 'New runners on the node again.',
    id: 'uncordon:NODE:N',
    fields: remedy,
  },
  reset: {
    to: 'telemetry',
    says: 'Reset a device; our own telemetry lets go of it first. Answered by node.reset.ended.',
    id: 'reset:NODE:N',
    fields: remedy,
  },
  reboot: {
    to: 'telemetry',
    says: 'Reboot the node. Answered by node.reboot.ended.',
    id: 'reboot:NODE:N',
    fields: remedy,
  },
  validate: {
    to: 'telemetry',
    says: 'Check a repaired node. Answered by node.validate.ended.',
    id: 'validate:NODE:N',
    fields: remedy,
  },
  escalate: {
    to: 'people',
    says: 'Hand the node over to people, with the evidence.',
    id: 'escalate:NODE:N',
    fields: remedy,
  },
  retire: { to: 'people', says: 'The node is out for good.', id: 'retire:NODE:N', fields: remedy },
} as const satisfies Record<CommandType, CommandShape>

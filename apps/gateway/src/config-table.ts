/**
 * Every field of the configuration that is not about an app: its default, its range and the reason, as data; and what the
 * specification knows and this version does not.
 */
import { nodeTunables, tunables, type OptionSpec } from '@health/core'
import { sourceNames } from '@health/gpu'
import type { FieldSpec } from './config-field.ts'

/** Every field of every section, with its default and the reason for it. */
export const sectionFields = {
  listen: {
    host: {
      kind: 'text',
      default: '127.0.0.1',
      reason: 'this machine only, until somebody says otherwise',
    },
    port: {
      kind: 'integer',
      default: 8080,
      min: 0,
      max: 65_535,
      reason: 'the usual port beside 80; 0 is any free one',
    },
  },
  auth: {
    keys: {
      kind: 'secrets',
      default: ['env:HEALTH_KEY'],
      reason: 'callers; none at all is open, on loopback only',
    },
    readKeys: { kind: 'secrets', default: [], reason: 'may look at the fleet' },
    adminKeys: { kind: 'secrets', default: ['env:HEALTH_ADMIN_KEY'], reason: 'may give orders' },
  },
  queue: {
    backend: {
      kind: 'word',
      default: 'sqlite',
      words: ['sqlite', 'memory'],
      reason: 'durable, and needs no server',
    },
  },
  limits: {
    bodyBytes: {
      kind: 'integer',
      default: 10_485_760,
      min: 1,
      max: 1_073_741_824,
      reason: 'a queued body is kept in memory while it is stored',
    },
    queueLength: {
      kind: 'integer',
      default: 1_000_000,
      min: 1,
      max: 100_000_000,
      reason: 'of all apps together; its index is in memory',
    },
    directWaiting: {
      kind: 'integer',
      default: 1000,
      min: 0,
      max: 1_000_000,
      reason: 'per app; each waiting call holds a connection',
    },
    connections: {
      kind: 'integer',
      default: 10_000,
      min: 1,
      max: 1_000_000,
      reason: 'the longest-idle one is closed first; never more than two thirds of `ulimit -n`',
    },
  },
  webhooks: {
    allowPrivateAddresses: {
      kind: 'boolean',
      default: false,
      reason: 'a caller must not reach our own network through us',
    },
    timeoutSeconds: {
      kind: 'seconds',
      default: 15,
      min: 0,
      above: true,
      reason: 'as the platform does',
    },
    retries: { kind: 'integer', default: 10, min: 0, max: 100, reason: 'as the platform does' },
  },
  logs: {
    level: {
      kind: 'word',
      default: 'info',
      words: ['debug', 'info', 'warn', 'error'],
      reason: 'every decision, no probe',
    },
    format: {
      kind: 'word',
      default: 'json',
      words: ['json', 'pretty'],
      reason: 'machines read logs; on a terminal it is pretty by itself',
    },
    runnerBytes: {
      kind: 'integer',
      default: 10_485_760,
      min: 4096,
      max: 10_737_418_240,
      reason: 'output kept per runner, rotated once',
    },
  },
  journal: {
    segmentBytes: {
      kind: 'integer',
      default: 67_108_864,
      min: 4096,
      max: 10_737_418_240,
      reason: 'one file of the journal',
    },
    maxBytes: {
      kind: 'integer',
      default: 1_073_741_824,
      min: 8192,
      max: 1_099_511_627_776,
      reason: 'the oldest files go first',
    },
    maxAgeSeconds: { kind: 'seconds', default: 604_800, min: 1, reason: 'a week of reasons' },
  },
  alerts: {
    log: { kind: 'boolean', default: true, reason: 'an alert that nobody sees is none' },
    webhook: { kind: 'texts', default: [], reason: 'addresses that are told' },
    repeatSeconds: {
      kind: 'seconds',
      default: 600,
      min: 0,
      reason: 'the same alert at most every ten minutes',
    },
  },
  shutdown: {
    delaySeconds: {
      kind: 'seconds',
      default: 0,
      min: 0,
      max: 3600,
      reason: 'time for a load balancer to see /ready turn',
    },
    graceSeconds: {
      kind: 'seconds',
      default: 30,
      min: 0,
      max: 86_400,
      reason: 'in-flight calls may end',
    },
    keepRunners: {
      kind: 'boolean',
      default: false,
      reason: 'true: a deploy of the gateway restarts no runner',
    },
  },
  gpu: {
    source: {
      kind: 'word',
      default: 'auto',
      words: sourceNames,
      reason: 'the best that works here, as the log says; none without a GPU',
    },
    intervalSeconds: {
      kind: 'seconds',
      default: 10,
      min: 0.1,
      max: 3600,
      reason:
        'heat and errors grow over minutes; three intervals without a sample, and at least 30 s, are silence',
    },
    resetCommand: {
      kind: 'command',
      default: null,
      reason: 'resets a device that no runner holds any more; without it a person is asked at once',
    },
    rebootCommand: {
      kind: 'command',
      default: null,
      reason: 'reboots the machine when a reset did not help; nobody reboots a machine unasked',
    },
    validateCommand: {
      kind: 'command',
      default: null,
      reason:
        'proves a repaired device: exit 0 passed, 77 could not be made; without it telemetry alone does',
    },
    dcgmDiagLevel: {
      kind: 'integer',
      default: 0,
      min: 0,
      max: 4,
      reason:
        'level of DCGM’s diagnostic of a repaired device, after `validateCommand` when there is one: 1 takes seconds, 2 minutes, 3 a quarter of an hour, 4 hours; 0 is none',
    },
    dcgmDiagCommand: {
      kind: 'command',
      default: null,
      reason:
        'what runs it, before `diag -r LEVEL --json`: `[sudo, dcgmi]`; `dcgmi` when nothing is said',
    },
    xid: {
      kind: 'object',
      default: null,
      reason:
        'the class of an Xid, where you know better than [the table](gpu.md): `{ 79: reboot }`',
    },
    dcgmUrl: {
      kind: 'text',
      default: null,
      reason: 'where DCGM’s exporter is; `http://127.0.0.1:9400/metrics` when nothing is said',
    },
    replayFile: {
      kind: 'text',
      default: null,
      reason:
        'the recording of `source: replay`: facts of telemetry as JSON lines; a journal is one',
    },
    replaySpeed: {
      kind: 'number',
      default: 1,
      min: 0,
      above: true,
      max: 1_000_000,
      reason: 'as it was; 10 is ten times faster',
    },
  },
} as const satisfies Record<string, Record<string, FieldSpec>>

type ValueOf<S> = S extends { kind: 'boolean' }
  ? boolean
  : S extends { kind: 'word'; words: readonly (infer W)[] }
    ? W
    : S extends { kind: 'command' }
      ? readonly string[] | null
      : S extends { kind: 'object' }
        ? Readonly<Record<string, unknown>> | null
        : S extends { kind: 'secrets' | 'texts' }
          ? readonly string[]
          : S extends { kind: 'text'; default: null }
            ? string | null
            : S extends { kind: 'text' }
              ? string
              : number

/** The sections, complete. Seconds as configured. */
export type Sections = {
  readonly [S in keyof typeof sectionFields]: {
    readonly [F in keyof (typeof sectionFields)[S]]: ValueOf<(typeof sectionFields)[S][F]>
  }
}

/** Values that exist in the specification and not yet here, by path. */
export const later: Readonly<Record<string, (value: unknown) => boolean>> = {
  'queue.backend': (value) => value === 'redis' || value === 'postgres',
  'queue.url': () => true,
  'webhooks.allowPrivateAddresses': (value) => value === true,
  'webhooks.timeoutSeconds': (value) => typeof value === 'number' && value !== 15,
  'webhooks.retries': (value) => typeof value === 'number' && value !== 10,
  'alerts.webhook': (value) => Array.isArray(value) && value.length > 0,
}

/** Every name that a policy may hold: the core's tunables and those of nodes and devices. */
export const policyFields: Readonly<Record<string, OptionSpec>> = { ...tunables, ...nodeTunables }

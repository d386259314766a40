/**
 * Every tunable of GPU health and of nodes: default, range, reason and the source of the number; and the one translation from
 * the configuration's seconds to the core's milliseconds. It refuses impossible values by path and judges nothing.
 */
import { HealthError } from './error.ts'
import { checkOptions, nearest, type OptionSpec } from './option.ts'
import { quote } from './quote.ts'
import { actionClasses, type ActionClass } from './xid.ts'

/** Tunables of nodes and devices, by their names in `policy`. */
export const nodeTunables = {
  tempHighC: {
    kind: 'number',
    default: 85,
    min: 0,
    max: 150,
    reason:
      'where monitors of fleets warn; only for devices that report neither a margin nor a lower limit of their own',
  },
  tempHighMarginC: {
    kind: 'number',
    default: 5,
    min: -50,
    max: 100,
    reason: 'five degrees below its own limit a device is about to slow down',
  },
  tempHighHoldSeconds: {
    kind: 'seconds',
    default: 300,
    min: 0,
    reason: 'load makes heat; five minutes of it are worth a look',
  },
  tempHighReleaseMarginC: {
    kind: 'number',
    default: 8,
    min: -50,
    max: 100,
    reason: 'three degrees above the level that warns, so that it does not flap',
  },
  tempHighReleaseSeconds: {
    kind: 'seconds',
    default: 120,
    min: 0,
    reason: 'two cool minutes end the warning',
  },
  tempReleaseC: {
    kind: 'number',
    default: 3,
    min: 0,
    max: 50,
    reason: 'hysteresis below any temperature limit',
  },
  tempCriticalC: {
    kind: 'number',
    default: 88,
    min: 0,
    max: 150,
    reason:
      'where large fleets call a device unhealthy; only without a margin and a slowdown limit of its own',
  },
  tempCriticalMarginC: {
    kind: 'number',
    default: -2,
    min: -50,
    max: 50,
    reason: 'the slowdown offset of most devices with margins, for those that do not report theirs',
  },
  tempCriticalSamples: {
    kind: 'integer',
    default: 3,
    min: 1,
    max: 1000,
    reason: 'one reading can lie, three in a row do not',
  },
  throttleHwWindowSeconds: {
    kind: 'seconds',
    default: 600,
    min: 10,
    max: 86_400,
    reason: 'slowdowns flash in changes of power state; ten minutes tell',
  },
  throttleHwPercent: {
    kind: 'percent',
    default: 60,
    min: 1,
    max: 100,
    reason: 'six of ten minutes',
  },
  throttleHwReleasePercent: {
    kind: 'percent',
    default: 10,
    min: 0,
    max: 99,
    reason: 'nearly gone, not only less',
  },
  throttleHwWaitSeconds: {
    kind: 'seconds',
    default: 86_400,
    min: 0,
    above: true,
    reason: 'what heat or power does not leave within a day needs a person',
  },
  throttleSwSeconds: {
    kind: 'seconds',
    default: 1800,
    min: 0,
    reason: 'software slows down at ease; half an hour hints at the cooling',
  },
  clockLowUsePercent: {
    kind: 'percent',
    default: 80,
    min: 0,
    max: 100,
    reason: 'an idle device may clock down',
  },
  clockLowPercent: {
    kind: 'percent',
    default: 50,
    min: 0,
    max: 100,
    reason: 'half of the clock under load is no boost behaviour',
  },
  clockLowHoldSeconds: {
    kind: 'seconds',
    default: 300,
    min: 0,
    reason: 'longer than a change of load',
  },
  remapPendingWaitSeconds: {
    kind: 'seconds',
    default: 86_400,
    min: 0,
    reason: 'other work is unaffected: wait for an idle device, but not longer than a day',
  },
  retiredPagesMax: {
    kind: 'integer',
    default: 63,
    min: 1,
    max: 1_000_000,
    reason: 'the table of retired pages ends at 64',
  },
  recoverySettleSeconds: {
    kind: 'seconds',
    default: 2,
    min: 0,
    max: 60,
    reason: 'drivers change their mind within a second; the last word counts',
  },
  lostSamples: {
    kind: 'integer',
    default: 3,
    min: 1,
    max: 1000,
    reason: 'a device that is only absent may be a truncated answer',
  },
  pcieReplayWindows: {
    kind: 'integer',
    default: 3,
    min: 1,
    max: 60,
    reason: 'three bad minutes in a row',
  },
  pcieReplayReleaseSeconds: { kind: 'seconds', default: 600, min: 0, reason: 'ten good minutes' },
  pcieDegradedHoldSeconds: {
    kind: 'seconds',
    default: 300,
    min: 0,
    reason: 'links train down when idle; only under load and for minutes does it count',
  },
  nvlinkErrorsPerMinute: {
    kind: 'integer',
    default: 1,
    min: 1,
    max: 1_000_000,
    reason: 'a healthy link has none',
  },
  faultBurstSeconds: {
    kind: 'seconds',
    default: 180,
    min: 0,
    reason: 'one fault prints many lines: silence of three minutes ends a burst',
  },
  xidRepeatSeconds: {
    kind: 'seconds',
    default: 86_400,
    min: 0,
    reason: 'the same fault of two applications within a day is the device',
  },
  telemetryStalledSeconds: {
    kind: 'seconds',
    default: 30,
    min: 1,
    reason: 'three intervals of ten seconds; raise it with the interval',
  },
  telemetryUnknownWaitSeconds: {
    kind: 'seconds',
    default: 0,
    min: 0,
    reason: 'off: unknown is not unhealthy; otherwise placement skips a node unknown for longer',
  },
  nodeResetTimeoutSeconds: {
    kind: 'seconds',
    default: 120,
    min: 0,
    above: true,
    reason: 'a reset takes five to ten seconds',
  },
  nodeRebootTimeoutSeconds: {
    kind: 'seconds',
    default: 1500,
    min: 0,
    above: true,
    reason: 'bare metal needs up to half an hour',
  },
  nodeValidateTimeoutSeconds: {
    kind: 'seconds',
    default: 1800,
    min: 0,
    above: true,
    reason: 'a deep diagnosis takes a quarter of an hour',
  },
  nodeResetFailures: {
    kind: 'integer',
    default: 3,
    min: 1,
    max: 100,
    reason: 'three resets that failed are a broken device',
  },
  nodeResetFailuresSeconds: {
    kind: 'seconds',
    default: 86_400,
    min: 0,
    above: true,
    reason: 'counted over a day',
  },
  nodeRebootsPerSignature: {
    kind: 'integer',
    default: 2,
    min: 1,
    max: 100,
    reason: 'what comes back after two reboots a third does not cure',
  },
  nodeRemediations: {
    kind: 'integer',
    default: 5,
    min: 1,
    max: 100,
    reason: 'a device that needs care every day is not cured',
  },
  nodeRemediationsSeconds: {
    kind: 'seconds',
    default: 604_800,
    min: 0,
    above: true,
    reason: 'counted over a week',
  },
  nodeBreakerPercent: {
    kind: 'percent',
    default: 20,
    min: 0,
    max: 100,
    reason: 'rules may take at most a fifth of the nodes, rounded down, and one at least',
  },
  nodeBreakerOpenPercent: {
    kind: 'percent',
    default: 50,
    min: 1,
    max: 100,
    reason: 'when half of the nodes fail together, look at the rule or the room',
  },
  nodeBreakerOpenMin: {
    kind: 'integer',
    default: 2,
    min: 1,
    max: 100_000,
    reason: 'one node is no crowd',
  },
  nodeBreakerOpenNodes: {
    kind: 'integer',
    default: 3,
    min: 1,
    max: 100_000,
    reason: 'in a fleet of two a share says nothing',
  },
  nodeBreakerWindowSeconds: {
    kind: 'seconds',
    default: 300,
    min: 0,
    above: true,
    reason: 'together means within five minutes',
  },
} as const satisfies Record<string, OptionSpec>

/** Name of a node's or device's tunable. */
export type NodeTunable = keyof typeof nodeTunables

type Milliseconds<T> = {
  readonly [K in keyof T as K extends `${infer Name}Seconds` ? `${Name}Ms` : K]: number
}

/** What nodes and devices are judged by, resolved: all times in whole ms, nothing optional. One object for all nodes. */
export interface NodePolicy extends Milliseconds<typeof nodeTunables> {
  /** Deadline of the drain of a node's runners. */
  readonly drainTimeoutMs: number
  /** How long a node must prove itself before it is uncordoned. */
  readonly healthyDelayMs: number
  /** Rules that observe only. */
  readonly dryRun: readonly string[]
  /** The operator's own class of an Xid, by number. */
  readonly xid: Readonly<Record<string, ActionClass>>
}

/** Highest Xid that an override may name; the driver's table ends far below. */
const XID_LIMIT = 9999

/** Checks the overrides of the Xid table (`gpu.xid`). Throws HEALTH_POLICY_INVALID with the path and what is allowed. */
export function checkXidOverrides(
  overrides: Readonly<Record<string, unknown>>,
  path = 'gpu.xid',
): void {
  for (const [number, value] of Object.entries(overrides)) {
    if (!/^\d{1,4}$/.test(number) || Number(number) < 1 || Number(number) > XID_LIMIT)
      throw new HealthError(
        'HEALTH_POLICY_INVALID',
        `${path}.${number} is not an Xid; allowed is 1 to ${XID_LIMIT}.`,
        `${path}.${number}`,
      )
    if (typeof value !== 'string' || !(actionClasses as readonly string[]).includes(value)) {
      const hint =
        typeof value === 'string' ? ` The nearest is "${nearest(value, actionClasses)}".` : ''
      throw new HealthError(
        'HEALTH_POLICY_INVALID',
        `${path}.${number} is ${quote(value)}; allowed is ${actionClasses.map((word) => `"${word}"`).join(' or ')}.${hint}`,
        `${path}.${number}`,
      )
    }
  }
}

/**
 * Resolves the tunables of nodes. `policy` may hold names of other sections: they are ignored here.
 * Throws HEALTH_POLICY_INVALID with the path of a value outside its range.
 */
export function resolveNodePolicy(
  policy: Readonly<Record<string, unknown>> = {},
  xid: Readonly<Record<string, unknown>> = {},
  path = 'policy',
): NodePolicy {
  const known = Object.fromEntries(
    Object.entries(policy).filter(([name]) => Object.hasOwn(nodeTunables, name)),
  )
  checkOptions(path, nodeTunables, known)
  checkXidOverrides(xid)
  const resolved: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries(nodeTunables)) {
    const value = (known[name] ?? spec.default) as number
    if (name.endsWith('Seconds'))
      resolved[`${name.slice(0, -'Seconds'.length)}Ms`] = Math.round(value * 1000)
    else resolved[name] = value
  }
  const seconds = (name: string, fallback: number): number => {
    const value = policy[name]
    return Math.round((typeof value === 'number' ? value : fallback) * 1000)
  }
  resolved.drainTimeoutMs = seconds('drainTimeoutSeconds', 300)
  resolved.healthyDelayMs = seconds('healthyDelaySeconds', 60)
  resolved.dryRun = Array.isArray(policy.dryRun) ? policy.dryRun : []
  resolved.xid = xid
  return Object.freeze(resolved) as unknown as NodePolicy
}

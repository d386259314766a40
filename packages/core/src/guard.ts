/**
 * The fleet's guards: readings after the action, and the first that forbids. They hold back doubt, never facts. Reading changes
 * nothing; what follows from a reading is done in `tell.ts`.
 */
import type { Compared } from './decision.ts'
import { percentOf } from './percent.ts'
import type { AppRecord, Fleet, ProbeWindow } from './state.ts'

/** Least probes and runners before our own checker may be doubted: two timeouts of two are no pattern. */
const SELF_MIN_PROBES = 5
const SELF_MIN_RUNNERS = 3

/** What the guards read of an app. */
export type Guarded = Pick<AppRecord, 'policy' | 'established' | 'suspects' | 'panic' | 'tat'>

/** How many places of an app may be out at once, this one included. */
export function capOf(app: Guarded): number {
  return Math.max(app.policy.capMin, Math.floor(percentOf(app.policy.capPercent, app.established)))
}

/** How many doubted runners are a panic. */
export function panicAt(app: Guarded): number {
  return Math.max(
    app.policy.panicMin,
    Math.ceil(percentOf(app.policy.panicPercent, app.established)),
  )
}

/** Ms between two endings by doubt at the steady rate. */
export const rateEvery = (app: Guarded): number =>
  Math.max(1, Math.round(1000 / app.policy.doubtPerSecond))

/** When the rate guard allows the next ending (GCRA in whole ms: a float bucket re-armed its deadline for ever). */
export const rateFreeAt = (app: Guarded): number =>
  app.tat - (app.policy.doubtBurst - 1) * rateEvery(app)

/** Counts one answered probe of an app; its windows follow each other, each as long as its interval. */
export function countProbe(app: AppRecord, at: number, slot: number, timedOut: boolean): void {
  const { intervalMs } = app.policy
  const { from } = app.window
  if (at - from > intervalMs) {
    app.lastWindow = at - from > 2 * intervalMs ? fresh(from) : app.window
    app.window = fresh(at)
  }
  const { window } = app
  window.until = at
  window.asked++
  if (timedOut) window.timedOut++
  if (window.slots.length < SELF_MIN_RUNNERS && !window.slots.includes(slot))
    window.slots.push(slot)
}

const fresh = (from: number): ProbeWindow => ({
  from,
  until: from,
  asked: 0,
  timedOut: 0,
  slots: [],
})

/** What we heard in the running and the previous interval of an app, from whomever: the checker is one, whatever it checks. */
interface Heard {
  asked: number
  timedOut: number
  runners: number
}

function heard(fleet: Fleet, { policy }: Guarded): Heard {
  const since = fleet.now - 2 * policy.intervalMs
  const all: Heard = { asked: 0, timedOut: 0, runners: 0 }
  for (const { window, lastWindow } of fleet.apps.values()) {
    const slots = new Set<number>()
    for (const { until, asked, timedOut, slots: some } of [window, lastWindow]) {
      if (asked === 0 || until < since) continue
      all.asked += asked
      all.timedOut += timedOut
      for (const slot of some) slots.add(slot)
    }
    all.runners += slots.size
  }
  return all
}

/** Ms at which to ask again who waits because we doubt ourselves: nothing else may tell that a standstill is long enough ago. */
export function selfAskAt(fleet: Fleet, app: Guarded): number {
  return (stoodStill(fleet, app) ? fleet.stoodStillAt : fleet.now) + app.policy.intervalMs
}

/** We stood still within the running interval of an app. */
export const stoodStill = (fleet: Fleet, { policy }: Guarded): boolean =>
  fleet.stoodStillAt >= 0 && fleet.now - fleet.stoodStillAt < policy.intervalMs

/** True when we doubt ourselves: most probes timed out together and our own control probe failed too, or we stood still a moment ago. */
function selfDoubt(fleet: Fleet, app: Guarded, { asked, timedOut, runners }: Heard): boolean {
  if (stoodStill(fleet, app)) return true
  return (
    !fleet.control &&
    asked >= SELF_MIN_PROBES &&
    runners >= SELF_MIN_RUNNERS &&
    timedOut * 100 > asked * app.policy.selfPercent
  )
}

/**
 * All readings and the first guard that forbids, in the order self, panic, cap, rate. `out`: places out after the action. `turn`: in
 * panic it is this runner's turn; the cap and the rate hold for it too.
 */
export function readGuards(
  fleet: Fleet,
  app: Guarded,
  out: number,
  turn = false,
): { readonly by: string | null; readonly compared: readonly Compared[] } {
  const probes = heard(fleet, app)
  const cap = capOf(app)
  const free = rateFreeAt(app)
  const self = selfDoubt(fleet, app, probes)
  const compared: Compared[] = [
    {
      name: 'timedOut',
      value: probes.timedOut,
      op: '<=',
      threshold: (probes.asked * app.policy.selfPercent) / 100,
      option: 'selfPercent',
    },
    {
      name: 'doubted',
      value: app.suspects,
      op: '<',
      threshold: panicAt(app),
      option: 'panicPercent',
    },
    { name: 'out', value: out, op: '<=', threshold: cap, option: 'capPercent' },
    { name: 'now', value: fleet.now, op: '>=', threshold: free, option: 'doubtPerSecond' },
  ]
  const by = self
    ? 'guard.self'
    : app.panic && !turn
      ? 'guard.panic'
      : out > cap
        ? 'guard.cap'
        : fleet.now < free
          ? 'guard.rate'
          : null
  // Read only where it forbids: most fleets never stand still.
  if (stoodStill(fleet, app))
    compared.unshift({
      name: 'sinceStandstillMs',
      value: fleet.now - fleet.stoodStillAt,
      op: '>=',
      threshold: app.policy.intervalMs,
      option: null,
    })
  return { by, compared }
}

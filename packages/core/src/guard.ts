/**
 * The fleet's guards: readings after the action, and the first that forbids. They hold back doubt, never facts. Reading changes
 * nothing; what follows from a reading is done in `tell.ts`.
 */
import type { Compared } from './decision.ts'
import type { AppRecord, Fleet } from './state.ts'

/** Least probes and runners before our own checker may be doubted: two timeouts of two are no pattern. */
const SELF_MIN_PROBES = 5
const SELF_MIN_RUNNERS = 3

/** What the guards read of an app. */
export type Guarded = Pick<AppRecord, 'policy' | 'established' | 'suspects' | 'panic' | 'tat'>

/** How many places of an app may be out at once, this one included. */
export function capOf(app: Guarded): number {
  return Math.max(app.policy.capMin, Math.floor((app.policy.capPercent / 100) * app.established))
}

/** How many doubted runners are a panic. */
export function panicAt(app: Guarded): number {
  return Math.max(app.policy.panicMin, Math.ceil((app.policy.panicPercent / 100) * app.established))
}

/** Ms between two endings by doubt at the steady rate. */
export const rateEvery = (app: Guarded): number =>
  Math.max(1, Math.round(1000 / app.policy.doubtPerSecond))

/** When the rate guard allows the next ending (GCRA in whole ms: a float bucket re-armed its deadline for ever). */
export const rateFreeAt = (app: Guarded): number =>
  app.tat - (app.policy.doubtBurst - 1) * rateEvery(app)

/** Counts one answered probe; windows follow each other, each as long as the app's interval. */
export function countProbe(
  fleet: Fleet,
  at: number,
  intervalMs: number,
  slot: number,
  timedOut: boolean,
): void {
  if (at - fleet.window.from > intervalMs) {
    fleet.lastWindow =
      at - fleet.window.from > 2 * intervalMs
        ? { from: fleet.window.from, asked: 0, timedOut: 0, slots: [] }
        : fleet.window
    fleet.window = { from: at, asked: 0, timedOut: 0, slots: [] }
  }
  fleet.window.asked++
  if (timedOut) fleet.window.timedOut++
  if (fleet.window.slots.length < SELF_MIN_RUNNERS && !fleet.window.slots.includes(slot))
    fleet.window.slots.push(slot)
}

/** True when we doubt ourselves: most probes timed out together and our own control probe failed too, or we stood still a moment ago. */
export function selfDoubt(fleet: Fleet, app: Guarded): boolean {
  const { window, lastWindow } = fleet
  if (fleet.stoodStillAt >= 0 && fleet.now - fleet.stoodStillAt < app.policy.intervalMs) return true
  if (fleet.control) return false
  const asked = window.asked + lastWindow.asked
  const runners = new Set([...window.slots, ...lastWindow.slots]).size
  return (
    asked >= SELF_MIN_PROBES &&
    runners >= SELF_MIN_RUNNERS &&
    (window.timedOut + lastWindow.timedOut) * 100 > asked * app.policy.selfPercent
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
  const { window, lastWindow } = fleet
  const asked = window.asked + lastWindow.asked
  const cap = capOf(app)
  const free = rateFreeAt(app)
  const self = selfDoubt(fleet, app)
  const compared: Compared[] = [
    {
      name: 'timedOut',
      value: window.timedOut + lastWindow.timedOut,
      op: '<=',
      threshold: (asked * app.policy.selfPercent) / 100,
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
  return { by, compared }
}

/**
 * Passes alerts on, the same one about the same subject at most once in a while: a fleet in trouble repeats itself. What is worth an alert
 * is the core's to say.
 */
import type { Command } from '@health/core'

/** An alert as the core orders it. */
export type Alert = Extract<Command, { type: 'alert' }>

/** Alerts remembered at most; past it the oldest is forgotten, which at worst tells one twice. */
const MAX_KNOWN = 10_000

/** A listener that calls `tell` unless the same alert was told less than `repeatMs()` ago. Times are observed ms. */
export function createAlerts(
  now: () => number,
  repeatMs: () => number,
  tell: (alert: Alert) => void,
): (alert: Alert) => void {
  const told = new Map<string, number>()
  return (alert) => {
    const { name, subject, about = '' } = alert
    const key = `${name} ${subject.kind} ${subject.id} ${about}`
    const last = told.get(key)
    if (last !== undefined && now() - last < repeatMs()) return
    // Set again at the end, so that the first key is always the one told longest ago.
    told.delete(key)
    told.set(key, now())
    if (told.size > MAX_KNOWN) told.delete(told.keys().next().value!)
    tell(alert)
  }
}

/**
 * What a step gives: orders, alerts, numbered decisions, and the one deadline of an app. It decides none of them.
 */
import type { Command } from './command.ts'
import type { Decision } from './decision.ts'
import {
  type AppRecord,
  type Fleet,
  type Place,
  type RunnerRecord,
  type Writable,
} from './state.ts'

/** Orders that may repeat nothing: their id names the life. */
export const life = (runner: RunnerRecord): string => `${runner.id}.${runner.incarnation}`

/** Lets an incremental snapshot see a runner, and its place, before they change. */
export function touch(fleet: Fleet, runner: RunnerRecord): void {
  if (fleet.keeper !== null) fleet.keeper.runner(runner)
}

/** The same of a place whose runner is somebody else's business, or nobody. */
export function touchPlace(fleet: Fleet, place: Place): void {
  if (fleet.keeper !== null) fleet.keeper.place(place)
}

/**
 * Journal number of the fact behind what happens to a runner: the one that is judged. Where only time passed it is the last that moved
 * this runner: the newest of all is somebody else's, and would be blamed.
 */
export const factBehind = (fleet: Fleet, runner: RunnerRecord): number =>
  fleet.judged > 0 ? fleet.judged : runner.sinceSeq

/** Gives an order. Most steps give one: a list of just that size, since one that grows takes room for seventeen at once. */
export function give(fleet: Fleet, command: Command): void {
  if (fleet.commands.length === 0) fleet.commands = [command]
  else fleet.commands.push(command)
}

/** Asks how many attempts are in flight on a runner that takes nothing new. */
export function count(fleet: Fleet, runner: RunnerRecord): void {
  const { id, incarnation } = runner
  give(fleet, { type: 'count', id: `count:${life(runner)}:${fleet.seq}`, runner: id, incarnation })
}

/** Calls a probe in flight back: its answer would mean nothing. */
export function cancelProbe(fleet: Fleet, runner: RunnerRecord): void {
  if (runner.flying === 0) return
  const { id, incarnation, flying: probe } = runner
  give(fleet, {
    type: 'probe.cancel',
    id: `probe.cancel:${life(runner)}:${probe}`,
    runner: id,
    incarnation,
    probe,
  })
  if (runner.flyingKind === 'regular') fleet.flying--
  runner.flying = 0
}

/** Raises an alert; repeating it is the adapter's to limit. */
export function alert(
  fleet: Fleet,
  name: Extract<Command, { type: 'alert' }>['name'],
  kind: 'app' | 'node' | 'request' | 'gateway' | 'runner',
  id: string,
  text: string,
): void {
  const key = `${name}:${kind}:${id}`
  const n = (fleet.alerted.get(key) ?? 0) + 1
  if (fleet.alerted.size > 10_000) fleet.alerted.clear()
  fleet.alerted.set(key, n)
  give(fleet, { type: 'alert', id: `alert:${key}:${n}`, name, subject: { kind, id }, text })
}

/** Numbers a decision and keeps it for the result of this step. */
export function push(fleet: Fleet, decision: Writable<Decision>): void {
  decision.seq = ++fleet.decisionSeq
  if (fleet.decisions.length === 0) fleet.decisions = [decision]
  else fleet.decisions.push(decision)
}

/** Sets the app's one deadline to the earliest of its own. */
export function armApp(fleet: Fleet, app: AppRecord): void {
  let due = Number.POSITIVE_INFINITY
  for (const at of [app.due.guard, app.due.start, app.due.pool, app.due.stable])
    if (at < due) due = at
  if (due === Number.POSITIVE_INFINITY) fleet.deadlines.clear(app.slot)
  else fleet.deadlines.set(app.slot, due)
}

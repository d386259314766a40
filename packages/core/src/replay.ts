/**
 * A journal again: the same events give the same commands and decisions, byte for byte, by the same core. It also asks what one
 * life would have been under another policy; it never claims to know what was not observed.
 */
import type { Command } from './command.ts'
import type { Decision } from './decision.ts'
import type { HealthEvent } from './event.ts'
import { createFleet, step } from './fleet.ts'
import type { Policy } from './policy.ts'
import type { PolicyOptions } from './tunable.ts'
import { restore } from './snapshot.ts'
import { type Snapshot } from './snapshot-row.ts'
import type { Fleet } from './state.ts'

/** What a journal holds: where it begins, and the events that followed. */
export interface Recording {
  /** The fleet when it began; null: an empty fleet with `policy` and `seed`. */
  readonly start: Snapshot | null
  readonly policy: PolicyOptions
  readonly seed: number
  readonly events: readonly HealthEvent[]
}

/** What the events gave, in order. */
export interface Replay {
  readonly commands: readonly Command[]
  readonly decisions: readonly Decision[]
  readonly fleet: Fleet
}

/** The fleet at the beginning of a recording. */
export function begin(recording: Recording): Fleet {
  return recording.start === null
    ? createFleet(recording.policy, { seed: recording.seed })
    : restore(JSON.parse(JSON.stringify(recording.start)))
}

/** Replays a recording under its own policy. `upTo`: observed ms at which to stop, deadlines before it included. */
export function replay(recording: Recording, upTo?: number): Replay {
  const fleet = begin(recording)
  const commands: Command[] = []
  const decisions: Decision[] = []
  const take = (event: HealthEvent): void => {
    const result = step(fleet, event)
    commands.push(...result.commands)
    decisions.push(...result.decisions)
  }
  for (const event of recording.events)
    if (event.at >= fleet.now && (event.seq ?? Infinity) > fleet.seq) take(event)
  if (upTo !== undefined && upTo > fleet.now) take({ type: 'time.passed', at: upTo })
  return { commands, decisions, fleet }
}

/** A proof in pieces, so that nothing waits for a long journal. */
export interface Proof {
  /** By what the life was judged, as far as the replay has come; null: it has not begun. */
  readonly policy: Policy | null
  /** Ages, in ms, at which a check of it failed or a heartbeat was missed. */
  readonly failures: readonly number[]
  /** Replays up to `events` more; null while there is more, then whether the decision is still taken. */
  advance(events: number): boolean | null
}

/**
 * Asks whether a decision about a life is still taken when that life alone is judged by other numbers. Everything else stays as it
 * was, so the answer is exact: until this decision both worlds are the same.
 */
export function beginProof(
  recording: Recording,
  decision: Decision,
  change: Partial<Policy>,
): Proof {
  const fleet = begin(recording)
  const { id, incarnation } = decision.subject
  let still = false
  let next = 0
  let over = false
  fleet.loose = true
  const look = (decisions: readonly Decision[]): void => {
    for (const { subject, rule, to, at } of decisions)
      if (
        subject.id === id &&
        subject.incarnation === incarnation &&
        rule === decision.rule &&
        to === decision.to &&
        at === decision.at
      )
        still = true
  }
  let judgedBy: Policy | null = null
  const failures: number[] = []
  fleet.onTell = (runner, verdict) => {
    if (verdict.type !== 'probe.failed' || runner.id !== id || runner.incarnation !== incarnation)
      return
    failures.push(verdict.at - runner.context.startedAt)
  }
  const judgeByOther = (): void => {
    const runner = fleet.runners.get(id)
    if (runner === undefined || runner.incarnation !== incarnation) return
    const { policy } = runner.context
    judgedBy = policy
    if (Object.entries(change).every(([name, value]) => policy[name as keyof Policy] === value))
      return
    ;(runner.context as { policy: Policy }).policy = { ...policy, ...change }
  }
  const finish = (): boolean => {
    if (!over && !still && decision.at >= fleet.now)
      look(step(fleet, { type: 'time.passed', at: decision.at }).decisions)
    over = true
    return still
  }
  judgeByOther()
  return {
    get policy() {
      return judgedBy
    },
    failures,
    advance(events) {
      for (let n = 0; n < events; n++) {
        const event = recording.events[next++]
        if (event === undefined || over) return finish()
        if (event.at < fleet.now || (event.seq ?? Infinity) <= fleet.seq) continue
        // A held runner may be let go by a later event of the same moment than those it rests on.
        if (event.at > decision.at || still) return finish()
        look(step(fleet, event).decisions)
        judgeByOther()
      }
      return null
    },
  }
}

/** {@link beginProof}, at once. */
export function stands(recording: Recording, decision: Decision, change: Partial<Policy>): boolean {
  return beginProof(recording, decision, change).advance(Infinity) ?? false
}

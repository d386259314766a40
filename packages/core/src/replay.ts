/**
 * A journal again: the same events give the same commands and decisions, byte for byte, by the same core. What another policy would
 * have done is asked elsewhere.
 */
import type { Command } from './command.ts'
import type { Decision } from './decision.ts'
import type { HealthEvent } from './event.ts'
import { createFleet, step } from './fleet.ts'
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

/** Worlds lived once and shared by the tests of a file: a world is a value, so whoever asks for the same one gets the same one. */
import { type Decision, explain, type Explanation, type Recording } from '@health/core'
import { live } from '../src/world.ts'
import type { WorldOptions, WorldRun } from '../src/world-options.ts'

/** A world, and its journal as a recording. */
export interface Recorded {
  readonly options: WorldOptions
  readonly run: WorldRun
  readonly recording: Recording
}

const lived = new Map<string, Recorded>()

/** Lives a world, or gives the one of this name that was lived before. */
export function recorded(name: string, options: () => WorldOptions): Recorded {
  const known = lived.get(name)
  if (known !== undefined) return known
  const given = options()
  const run = live(given)
  const { policy = {}, seed } = given
  const world = {
    options: given,
    run,
    recording: { start: null, policy, seed, events: run.journal },
  }
  lived.set(name, world)
  return world
}

/** The explanation as it was at a decision: nothing later is known. */
export function explainAt({ run, recording }: Recorded, decision: Decision): Explanation {
  const { kind, id } = decision.subject
  const decisions = run.decisions.filter(({ seq }) => seq <= decision.seq)
  return explain({ decisions, events: run.journal, recording }, { kind, id })!
}

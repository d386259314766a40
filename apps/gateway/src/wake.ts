/**
 * Tells the supervisor that something waits: at once when it is news, and then again after a moment for whatever came meanwhile,
 * so that a crowd costs a few counts and not one for each caller.
 */
import type { Supervisor } from '@health/supervisor'
import type { Lanes } from './lane.ts'

/** Between two counts, in ms. */
const APART_MS = 20

/** The way to wake a supervisor. */
export function createWake(supervisor: Pick<Supervisor, 'wake'>, lanes: Lanes): () => void {
  let again = false
  let resting = false
  const wake = (): void => {
    resting = true
    again = false
    supervisor.wake()
    lanes.wait(APART_MS, () => {
      resting = false
      if (again) wake()
    })
  }
  return () => {
    if (resting) again = true
    else wake()
  }
}

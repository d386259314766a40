/** Lives a journal again, woken or not, cut or not: facts alone decide, so the outcome must be the same. It judges nothing. */
import {
  type Command,
  createFleet,
  type Decision,
  type Fleet,
  type HealthEvent,
  nextDue,
  type PolicyOptions,
  restore,
  snapshot,
  step,
} from '@health/core'

/** How a journal is lived again. */
export interface Relive {
  readonly seed: number
  readonly policy?: PolicyOptions
  readonly until: number
  /** Restore the fleet from its own JSON at every n-th step. */
  readonly cut?: number
  /** Wake at every deadline, as a supervisor does; else deadlines are only reached by the next fact. */
  readonly wakes?: boolean
  readonly watch?: (fleet: Fleet) => void
}

/** Feeds a journal to a fresh fleet. Facts alone decide, so the outcome must be the same however it is woken or interrupted. */
export function relive(
  journal: readonly HealthEvent[],
  options: Relive,
): {
  readonly decisions: readonly Decision[]
  readonly commands: readonly Command[]
  readonly fleet: Fleet
} {
  let fleet = createFleet(options.policy ?? {}, { seed: options.seed })
  const decisions: Decision[] = []
  const commands: Command[] = []
  let steps = 0
  const feed = (event: HealthEvent): void => {
    const result = step(fleet, event)
    decisions.push(...result.decisions)
    commands.push(...result.commands)
    options.watch?.(fleet)
    if (options.cut !== undefined && ++steps % options.cut === 0)
      fleet = restore(JSON.parse(JSON.stringify(snapshot(fleet))))
  }
  const wakeUntil = (at: number): void => {
    while (options.wakes === true && nextDue(fleet) < at)
      feed({ type: 'time.passed', at: nextDue(fleet) })
  }
  for (const event of journal) {
    wakeUntil(event.at)
    feed(event)
  }
  wakeUntil(options.until)
  feed({ type: 'time.passed', at: options.until })
  return { decisions, commands, fleet }
}

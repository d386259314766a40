/**
 * Tells a crash from a lost connection: when a connection breaks, the end of the process is usually a moment behind. It waits
 * for that moment, at most 200 ms, and says which it was; it never judges the runner.
 */
import { view, type Fleet, type Observation } from '@health/core'
import type { Lanes, Wait } from './lane.ts'

/** How long the end of a process may come behind the end of its connection, in ms. */
export const EXIT_MS = 200

interface Waiting {
  readonly incarnation: number
  readonly answer: (crashed: boolean) => void
  wait: Wait | null
}

/** Waits for processes to end. */
export interface ExitWatch {
  /** Answers once: true when the process of this life ended by itself. At once when that is known, or there is no process of ours. */
  wait(runner: string, incarnation: number, answer: (crashed: boolean) => void): void
  observe(observation: Observation): void
}

/** Creates the watch of one fleet. */
export function createExitWatch(fleet: Fleet, lanes: Lanes): ExitWatch {
  const waiting = new Map<string, Waiting[]>()
  /** null: not known yet. */
  const crashed = (runner: string, incarnation: number): boolean | null => {
    const seen = view(fleet, runner)
    if (seen === null || seen.incarnation !== incarnation) return false
    if (seen.state === 'terminated') return seen.reason === 'crashed'
    return seen.pid === null ? false : null
  }
  const settle = (runner: string, one: Waiting, answer: boolean): void => {
    one.wait?.cancel()
    const rest = waiting.get(runner)?.filter((other) => other !== one) ?? []
    if (rest.length === 0) waiting.delete(runner)
    else waiting.set(runner, rest)
    one.answer(answer)
  }
  return {
    wait(runner, incarnation, answer) {
      const known = crashed(runner, incarnation)
      if (known !== null) return answer(known)
      const one: Waiting = { incarnation, answer, wait: null }
      one.wait = lanes.wait(EXIT_MS, () =>
        settle(runner, one, crashed(runner, incarnation) ?? false),
      )
      waiting.set(runner, [...(waiting.get(runner) ?? []), one])
    },
    observe({ event }) {
      if (waiting.size === 0 || !('runner' in event) || typeof event.runner !== 'string') return
      const runner = event.runner
      for (const one of waiting.get(runner) ?? []) {
        const known = crashed(runner, one.incarnation)
        if (known !== null) settle(runner, one, known)
      }
    },
  }
}

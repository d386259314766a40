/**
 * The connections to each runner, one set for each life of it. They are opened when the runner gets its first request and cut
 * when its life is over, so that no request meets a successor on a connection of its predecessor.
 */
import { runnerOf, type Fleet, type Observation, type RunnerHandle } from '@health/core'
import { chooseClient, type Route } from './upstream.ts'

/** One life of one runner and the way to it. */
export interface RunnerRoute {
  readonly handle: RunnerHandle
  readonly id: string
  readonly incarnation: number
  readonly app: string
  readonly route: Route
}

/** The ways to all runners. */
export interface RunnerRoutes {
  /** The way to the runner in this slot as it is now. */
  of(handle: RunnerHandle): RunnerRoute
  /** Looks for lives that are over. */
  observe(observation: Observation): void
  /** Cuts all connections. */
  close(): void
}

/** Creates the ways; `open` is replaced in tests. */
export function createRunnerRoutes(
  fleet: Fleet,
  open: (url: string) => Route = chooseClient(process.env),
): RunnerRoutes {
  const bySlot: (RunnerRoute | undefined)[] = []
  const byId = new Map<string, RunnerRoute>()
  const drop = (old: RunnerRoute): void => {
    old.route.close()
    if (byId.get(old.id) === old) byId.delete(old.id)
    if (bySlot[old.handle] === old) bySlot[old.handle] = undefined
  }
  return {
    of(handle) {
      const runner = runnerOf(fleet, handle)
      const known = bySlot[handle]
      if (known !== undefined) {
        if (known.id === runner.id && known.incarnation === runner.incarnation) return known
        drop(known)
      }
      const made = {
        handle,
        id: runner.id,
        incarnation: runner.incarnation,
        app: runner.app,
        route: open(runner.url),
      }
      bySlot[handle] = made
      byId.set(made.id, made)
      return made
    },
    observe({ decisions }) {
      for (const { subject, to } of decisions) {
        if (to !== 'gone' || subject.kind !== 'runner') continue
        const old = byId.get(subject.id)
        if (old !== undefined && old.incarnation <= subject.incarnation) drop(old)
      }
    },
    close() {
      for (const route of byId.values()) route.route.close()
      byId.clear()
      bySlot.length = 0
    },
  }
}

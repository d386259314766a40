/**
 * Starts and ends everything around the core: memory, clock, adapters, loop, schedules. It gives plain promises to the app and
 * uses Effect for what it is good at: opening in order, releasing in reverse, schedules that end with their owner.
 */
import * as EffectClock from 'effect/Clock'
import * as Effect from 'effect/Effect'
import * as Fiber from 'effect/Fiber'
import * as Layer from 'effect/Layer'
import * as ManagedRuntime from 'effect/ManagedRuntime'
import * as Schedule from 'effect/Schedule'
import type { Cancel, Clock, Command, Fleet, Observation, StepResult } from '@health/core'
import { Engine, type Alert, type EngineParts } from './engine.ts'
import { effectClock } from './effect-clock.ts'
import type { Untimed } from './fact.ts'
import { createHistory, type History } from './history.ts'
import { textOf } from './line.ts'
import { boundsOf, type SupervisorOptions } from './option.ts'
import { Memory, Ports, Record, Settings, Time } from './service.ts'
import { isObserved } from './system-clock.ts'

/** A running supervisor. */
export interface Supervisor {
  readonly fleet: Fleet
  readonly clock: Clock
  /**
   * Tells a fact; it gets the present time and the next number. Synchronous: when it returns the fact is judged and journaled
   * and its orders are on their way. Orders about requests (`requeue deliver reject cancel`) are the caller's to carry out. A
   * fact told from inside a listener is judged at once, its orders follow those before it. Throws what `step` throws, and then
   * nothing has changed. After `stop` it answers `seq: 0`.
   */
  tell(fact: Untimed): StepResult
  /** After each fact that was not dismissed, and each wake-up that led to orders or decisions. */
  observe(listener: (observation: Observation) => void): Cancel
  /** Alerts, those of the journal included. What comes before the first listener waits for it. */
  onAlert(listener: (command: Alert) => void): Cancel
  /** Orders that no `tell` returned: about requests, and every order about nodes. What comes before the first listener waits for it. */
  onOrder(listener: (command: Command) => void): Cancel
  /** Something waits: counts now instead of within a second, when the pool has not heard of it. */
  wake(): void
  readonly history: History
  readonly stats: SupervisorStats
  /**
   * Ends: runners stop within `graceMs` (or stay), then adapters, snapshot, journal and lock are let go in this order. Calling
   * it again gives the same promise.
   */
  stop(options: { readonly keepRunners: boolean; readonly graceMs: number }): Promise<void>
}

/** Numbers about the supervisor itself. */
export interface SupervisorStats {
  readonly journalSeq: number
  /** The latest that our loop came in the last seconds. */
  readonly loopDelaySeconds: number
  readonly journalFailing: boolean
  /** Ms in which we stood still, since the start. */
  readonly pausedMs: number
}

const CONTROL_SECONDS = 5
const SNAPSHOT_SECONDS = 60
const CHECK_SECONDS = 1

/**
 * Starts a supervisor. Resolves when the journal is replayed and every process of before is adopted or ended. Rejects with
 * HEALTH_DATA_DENIED, HEALTH_DATA_LOCKED, HEALTH_JOURNAL_CORRUPT, HEALTH_JOURNAL_FORMAT or HEALTH_SNAPSHOT_FORMAT; nothing is
 * left open then.
 */
export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const ending = { keepRunners: true }
  let engine: Engine | null = null
  const settings = Layer.succeed(Settings, {
    options,
    ending,
    onFailing: (failing, text) => engine?.journalFailing(failing, text),
  })
  const runtime = ManagedRuntime.make(
    Ports.layer.pipe(
      Layer.provideMerge(Record.layer),
      Layer.provideMerge(Time.layer),
      Layer.provideMerge(Memory.layer),
      Layer.provideMerge(settings),
    ),
  )
  const gather = Effect.gen(function* () {
    const { past, decisions } = yield* Memory
    const { clock } = yield* Time
    const { journal, log, snapshotter } = yield* Record
    const ports = yield* Ports
    return { ...past, decisions, clock, journal, segments: log, snapshotter, ...ports }
  })
  try {
    const parts = await runtime.runPromise(gather)
    const opened = new Engine({ ...parts, options })
    engine = opened
    await opened.begin()
    const fiber = runtime.runFork(schedules(parts, opened, options))
    return facade(parts, opened, async (keepRunners, graceMs) => {
      ending.keepRunners = keepRunners
      await opened.end(keepRunners, graceMs)
      await Effect.runPromise(Fiber.interrupt(fiber))
      await runtime.dispose()
    })
  } catch (error) {
    engine?.close()
    await runtime.dispose()
    throw error
  }
}

/** What is done again and again, on observed time; ends with the runtime. */
function schedules(
  parts: EngineParts,
  engine: Engine,
  options: SupervisorOptions,
): Effect.Effect<void> {
  const every = (seconds: number, act: () => Promise<unknown>): Effect.Effect<unknown> =>
    Effect.promise(async () => {
      try {
        await act()
      } catch (error) {
        options.log({ level: 'warn', event: 'schedule.failed', text: textOf(error) })
      }
    }).pipe(Effect.delay(`${seconds} seconds`), Effect.repeat(Schedule.forever))
  const { control, journal, snapshotter, segments, decisions } = parts
  const bounds = boundsOf(options.journal)
  const work = [
    every(options.snapshotSeconds ?? SNAPSHOT_SECONDS, async () => {
      try {
        await snapshotter.take(journal)
      } finally {
        const limits = { maxAgeMs: bounds.maxAgeSeconds * 1_000, now: Date.now() }
        segments.prune({ ...limits, maxBytes: bounds.maxBytes, keepAfter: snapshotter.newest })
        decisions.prune({ ...limits, maxBytes: Math.ceil(bounds.maxBytes / 8) })
      }
    }),
    every(CHECK_SECONDS, async () => journal.check()),
  ]
  if (control !== null)
    work.push(every(options.controlSeconds ?? CONTROL_SECONDS, () => engine.askControl()))
  return Effect.all(work, { concurrency: 'unbounded', discard: true }).pipe(
    Effect.provideService(EffectClock.Clock, effectClock(parts.clock)),
  )
}

function facade(
  parts: EngineParts,
  engine: Engine,
  end: (keepRunners: boolean, graceMs: number) => Promise<void>,
): Supervisor {
  const { fleet, clock, journal, decisions, segments } = parts
  let ended: Promise<void> | null = null
  return {
    fleet,
    clock,
    tell: (fact) => engine.loop.tell(fact),
    observe: (listener) => engine.loop.observe(listener),
    onAlert: (listener) => engine.alerts.listen(listener),
    onOrder: (listener) => engine.orders.listen(listener),
    wake: () => engine.loop.wake(),
    history: createHistory(decisions, segments, journal),
    stats: {
      get journalSeq() {
        return fleet.seq
      },
      get loopDelaySeconds() {
        return isObserved(clock) ? clock.delayMs / 1_000 : 0
      },
      get journalFailing() {
        return journal.failing
      },
      get pausedMs() {
        return isObserved(clock) ? clock.pausedMs : 0
      },
    },
    stop({ keepRunners, graceMs }) {
      ended ??= end(keepRunners, graceMs)
      return ended
    },
  }
}

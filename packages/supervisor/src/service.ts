/**
 * The parts of a supervisor as Effect services: each names what it holds, how it is opened and how it is let go. Composed they
 * open from the lock upwards and close from the loop downwards. Nothing here is on the way of a request.
 */
import * as Context from 'effect/Context'
import * as Effect from 'effect/Effect'
import * as Layer from 'effect/Layer'
import { JOURNAL_FORMAT, type Clock, type Host, type Prober, type Telemetry } from '@health/core'
import { openDataDirectory, type DataDirectory } from './data-directory.ts'
import { DecisionLog } from './decision-log.ts'
import { FileJournal } from './journal.ts'
import { textOf } from './line.ts'
import { boundsOf, type ControlProbe, type SupervisorOptions } from './option.ts'
import { recall, type Past } from './restart.ts'
import { SegmentLog } from './segment-log.ts'
import { Snapshotter } from './snapshotter.ts'
import { SnapshotStore } from './snapshot-store.ts'
import { createSystemClock, shiftClock } from './system-clock.ts'

/** Options, and what `stop` decides about the release. */
export class Settings extends Context.Service<
  Settings,
  {
    readonly options: SupervisorOptions
    readonly ending: { keepRunners: boolean }
    readonly onFailing: (failing: boolean, text: string) => void
  }
>()('@health/supervisor/Settings') {}

/** The locked data directory and what was in it. */
export class Memory extends Context.Service<
  Memory,
  {
    readonly directory: DataDirectory
    readonly snapshots: SnapshotStore
    readonly decisions: DecisionLog
    readonly past: Past
  }
>()('@health/supervisor/Memory') {
  static readonly layer = Layer.effect(
    Memory,
    Effect.gen(function* () {
      const { options } = yield* Settings
      const directory = yield* Effect.acquireRelease(
        attempt(() => openDataDirectory(options.dataDir)),
        (opened) => Effect.sync(() => opened.release()),
      )
      const warn = (text: string): void =>
        options.log({ level: 'warn', event: 'journal.warned', text })
      const snapshots = new SnapshotStore({ folder: directory.snapshots, warn })
      const decisions = yield* Effect.acquireRelease(
        attempt(
          () =>
            new DecisionLog({
              folder: directory.journal,
              onError: (error) =>
                options.log({ level: 'warn', event: 'decisions.unwritten', text: textOf(error) }),
            }),
        ),
        (log) => Effect.promise(() => log.close()),
      )
      const past = yield* attemptPromise(() =>
        recall({
          directory,
          snapshots,
          decisions,
          policy: options.policy ?? {},
          seed: options.seed ?? Math.floor(Math.random() * 2 ** 31),
          warn,
        }),
      )
      return { directory, snapshots, decisions, past }
    }),
  )
}

/** The clock, from where the journal ended. */
export class Time extends Context.Service<Time, { readonly clock: Clock }>()(
  '@health/supervisor/Time',
) {
  static readonly layer = Layer.effect(
    Time,
    Effect.gen(function* () {
      const { options } = yield* Settings
      const { past } = yield* Memory
      const from = past.fleet.now
      if (options.clock !== undefined)
        return { clock: shiftClock(options.clock, Math.max(0, from - options.clock.now())) }
      const clock = yield* Effect.acquireRelease(
        // One later than the last fact: at its own time it would get the date of this start.
        Effect.sync(() => createSystemClock({ from: from + 1, history: past.walls.list() })),
        (opened) => Effect.sync(() => opened.close()),
      )
      return { clock }
    }),
  )
}

/** The journal that is written to. */
export class Record extends Context.Service<
  Record,
  { readonly journal: FileJournal; readonly log: SegmentLog; readonly snapshotter: Snapshotter }
>()('@health/supervisor/Record') {
  static readonly layer = Layer.effect(
    Record,
    Effect.gen(function* () {
      const { options, onFailing } = yield* Settings
      const { directory, snapshots, past } = yield* Memory
      const { clock } = yield* Time
      const { fleet, walls, end } = past
      const log = yield* attempt(() => {
        const opened = new SegmentLog({
          folder: directory.journal,
          prefix: '',
          segmentBytes: boundsOf(options.journal).segmentBytes,
          header: (seq) => ({
            format: JOURNAL_FORMAT,
            policy: fleet.globalPolicy,
            seed: fleet.seed,
            seq,
            at: fleet.now,
          }),
          onError: (error) =>
            options.log({ level: 'error', event: 'journal.unsynced', text: textOf(error) }),
        })
        if (end.drop) opened.drop()
        if (end.cut !== null) opened.cut(end.cut)
        return opened
      })
      const snapshotter = new Snapshotter({ fleet, store: snapshots, walls })
      const journal = yield* Effect.acquireRelease(
        Effect.sync(
          () =>
            new FileJournal({
              log,
              clock,
              from: fleet.seq,
              replace: () => snapshotter.replace(),
              onFailing,
            }),
        ),
        (opened) =>
          Effect.promise(async () => {
            await snapshotter.idle()
            await snapshotter
              .take(opened)
              .catch((error: unknown) =>
                options.log({ level: 'warn', event: 'snapshot.failed', text: textOf(error) }),
              )
            await opened
              .close()
              .catch((error: unknown) =>
                options.log({ level: 'error', event: 'journal.unclosed', text: textOf(error) }),
              )
            if (opened.pending > 0 || opened.lost !== null)
              options.log({
                level: 'error',
                event: 'journal.unwritten',
                text: `The disk did not take the last events, up to ${fleet.seq}: the next start does not know them.`,
              })
          }),
      )
      return { journal, log, snapshotter }
    }),
  )
}

/** The adapters, let go in the reverse order: telemetry, control, prober, host. */
export class Ports extends Context.Service<
  Ports,
  {
    readonly host: Host
    readonly prober: Prober
    readonly control: ControlProbe | null
    readonly telemetry: Telemetry | null
  }
>()('@health/supervisor/Ports') {
  static readonly layer = Layer.effect(
    Ports,
    Effect.gen(function* () {
      const { options, ending } = yield* Settings
      const { clock } = yield* Time
      const host = yield* Effect.acquireRelease(
        attempt(() => options.host(clock)),
        (opened) => release(options, 'host', () => opened.close({ keep: ending.keepRunners })),
      )
      const prober = yield* Effect.acquireRelease(
        attempt(() => options.prober(clock)),
        (opened) => release(options, 'prober', () => opened.close()),
      )
      const control = yield* Effect.acquireRelease(
        attemptPromise(async () => (await options.control?.(clock, prober)) ?? null),
        (opened) => release(options, 'control', async () => opened?.close()),
      )
      const telemetry = yield* Effect.acquireRelease(
        attemptPromise(async () => (await options.telemetry?.(clock)) ?? null),
        (opened) => release(options, 'telemetry', async () => opened?.close()),
      )
      return { host, prober, control, telemetry }
    }),
  )
}

/** A broken contract fails as it is, so that the caller sees its code. */
const attempt = <A>(act: () => A): Effect.Effect<A, Error> =>
  Effect.try({ try: act, catch: (error) => error as Error })

const attemptPromise = <A>(act: () => Promise<A>): Effect.Effect<A, Error> =>
  Effect.tryPromise({ try: act, catch: (error) => error as Error })

/** What cannot be closed is said and does not keep the rest open. */
const release = (
  options: SupervisorOptions,
  port: string,
  act: () => Promise<unknown>,
): Effect.Effect<void> =>
  Effect.promise(async () => {
    try {
      await act()
    } catch (error) {
      options.log({ level: 'error', event: 'port.unclosed', port, text: textOf(error) })
    }
  })

/**
 * Observed time on the machine's monotonic clock: each wake-up adds at most one second, the rest is a gap in which we stood
 * still and which does not exist for the core. It reports gaps and how late the loop is; it never decides what they mean.
 */
import type { Cancel, Clock, Millis } from '@health/core'
import { Alarms } from './alarm.ts'
import { WallHistory, type WallSegment } from './wall-history.ts'

/** What one wake-up may add to observed time at most; more is a gap. */
const MAX_STEP_MS = 1_000
/** How often the clock looks at itself, so that an idle process is not mistaken for a stopped one. */
const TICK_MS = 200
/** A wake-up later than this lets waiting input in first, so that an answer that is already here beats its own timeout. */
const LATE_MS = 50
/** A wall clock that moved this far against us was set by somebody, or the machine was suspended. */
const WALL_JUMP_MS = 2_000
/** Lateness is remembered this long. */
const DELAY_WINDOW_MS = 5_000

/** We stood still, or the wall clock was moved. */
export interface Gap {
  /** Real ms that observed time left out. */
  readonly gapMs: Millis
  /** Unix ms now. */
  readonly wall: number
}

/** A clock that knows when it stood still. */
export interface ObservedClock extends Clock {
  /** Called before any alarm of the wake-up that found the gap. */
  onGap(listener: (gap: Gap) => void): Cancel
  /** Looks at the time and reports a gap at once, so that no fact is told before the standstill that preceded it. */
  settle(): void
  /** Ms left out since this clock was made. */
  readonly pausedMs: Millis
  /** The latest that a wake-up came in the last seconds, ms. */
  readonly delayMs: Millis
  /** Ends its timers; no alarm is called afterwards. */
  close(): void
}

/** Whether a clock reports gaps. */
export const isObserved = (clock: Clock): clock is ObservedClock => 'onGap' in clock

/** What the clock reads, replaceable so that its arithmetic can be tested without waiting. */
export interface TimeSource {
  /** Monotonic ms. */
  monotonic(): number
  /** Unix ms. */
  unix(): number
}

const machine: TimeSource = { monotonic: () => performance.now(), unix: () => Date.now() }

/** Options of {@link createSystemClock}. */
export interface SystemClockOptions {
  /** Observed ms to go on from; default 0. */
  readonly from?: Millis
  /** Which wall time belonged to which observed time before; default none. */
  readonly history?: readonly WallSegment[]
  readonly source?: TimeSource
}

/** The clock of a running supervisor. Its timers keep the process alive until `close`. */
export function createSystemClock(options: SystemClockOptions = {}): ObservedClock {
  const source = options.source ?? machine
  const alarms = new Alarms()
  const listeners = new Set<(gap: Gap) => void>()
  let observed = options.from ?? 0
  let last = source.monotonic()
  const walls = new WallHistory(options.history)
  walls.add(Math.floor(observed), source.unix())
  let pausedMs = 0
  let unreported = 0
  let closed = false
  let timer: NodeJS.Timeout | undefined
  let turn: NodeJS.Immediate | undefined
  let expected = last + TICK_MS
  const delays: { readonly at: number; readonly late: number }[] = []

  const read = (): number => {
    const now = source.monotonic()
    const passed = Math.max(0, now - last)
    last = now
    observed += Math.min(passed, MAX_STEP_MS)
    if (passed > MAX_STEP_MS) {
      pausedMs += passed - MAX_STEP_MS
      unreported += passed - MAX_STEP_MS
    }
    return observed
  }

  const reportGap = (): void => {
    const unix = source.unix()
    const drift = unix - walls.wall(Math.floor(observed))
    const jumped = Math.abs(drift) > WALL_JUMP_MS
    if (unreported < 1 && !jumped) return
    // A wall clock that ran ahead while the monotonic one stood: the whole machine slept.
    const gapMs = Math.round(unreported >= 1 ? unreported : Math.max(0, drift))
    unreported = 0
    walls.add(Math.floor(observed), unix)
    for (const listener of listeners) listener({ gapMs, wall: unix })
  }

  const note = (late: number): void => {
    while (delays.length > 0 && last - delays[0]!.at > DELAY_WINDOW_MS) delays.shift()
    delays.push({ at: last, late })
  }

  const fire = (): void => {
    turn = undefined
    for (;;) {
      if (closed) return
      read()
      reportGap()
      const callback = alarms.take(observed)
      if (callback === null) break
      callback()
    }
    arm()
  }

  const woke = (): void => {
    timer = undefined
    read()
    const late = Math.max(0, last - expected)
    note(late)
    reportGap()
    if (late > LATE_MS) turn = setImmediate(fire)
    else fire()
  }

  const arm = (): void => {
    if (closed || turn !== undefined) return
    if (timer !== undefined) clearTimeout(timer)
    const wait = Math.max(0, Math.min(TICK_MS, alarms.nextDue() - observed))
    expected = last + wait
    timer = setTimeout(woke, Math.ceil(wait))
  }

  arm()
  return {
    now: () => Math.floor(read()),
    wall: (at) => walls.wall(at ?? Math.floor(read())),
    after(ms, callback) {
      const due = read() + Math.max(0, ms)
      const first = due < alarms.nextDue()
      const cancel = alarms.add(due, callback)
      if (first) arm()
      return cancel
    },
    onGap(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    settle() {
      read()
      reportGap()
    },
    get pausedMs() {
      read()
      return Math.round(pausedMs)
    },
    get delayMs() {
      const since = source.monotonic() - DELAY_WINDOW_MS
      return Math.round(
        delays.reduce((most, one) => (one.at >= since ? Math.max(most, one.late) : most), 0),
      )
    },
    close() {
      closed = true
      if (timer !== undefined) clearTimeout(timer)
      if (turn !== undefined) clearImmediate(turn)
    },
  }
}

/** A clock whose times are `by` later: how a given clock goes on where the journal ended. */
export function shiftClock(clock: Clock, by: Millis): Clock {
  if (by === 0) return clock
  const shifted: Clock = {
    now: () => clock.now() + by,
    wall: (at) => (at === undefined ? clock.wall() : clock.wall(at - by)),
    after: (ms, callback) => clock.after(ms, callback),
  }
  if (!isObserved(clock)) return shifted
  const observed: ObservedClock = {
    ...shifted,
    onGap: (listener) => clock.onGap(listener),
    settle: () => clock.settle(),
    get pausedMs() {
      return clock.pausedMs
    },
    get delayMs() {
      return clock.delayMs
    },
    close: () => clock.close(),
  }
  return observed
}

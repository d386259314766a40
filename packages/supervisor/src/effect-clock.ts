/**
 * Effect's clock on observed time, so that schedules stand still when we do and never run in a burst afterwards. Readings of the
 * date are the wall's; only sleeping is observed.
 */
import * as EffectClock from 'effect/Clock'
import * as Duration from 'effect/Duration'
import * as Effect from 'effect/Effect'
import type { Clock } from '@health/core'

/** A service for `Effect.provideService(EffectClock.Clock, …)`. */
export function effectClock(clock: Clock): EffectClock.Clock {
  const millis = (): number => clock.wall()
  const nanos = (): bigint => BigInt(Math.round(clock.wall())) * 1_000_000n
  const monotonic = (): bigint => BigInt(clock.now()) * 1_000_000n
  return {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: monotonic,
    monotonicTimeNanos: Effect.sync(monotonic),
    sleep: (duration) => {
      const ms = Duration.toMillis(duration)
      if (!Number.isFinite(ms)) return Effect.never
      return Effect.callback<void>((resume) => {
        const cancel = clock.after(ms, () => resume(Effect.void))
        return Effect.sync(cancel)
      })
    },
  }
}

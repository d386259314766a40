/**
 * A plain monotonic clock for tests and benchmarks that run real processes and sockets. It knows nothing of standstills:
 * the clock that does belongs to the supervisor.
 */
import type { Cancel, Clock, Millis } from '@health/core'

/** A {@link Clock} on the machine's monotonic time, in whole ms from its creation. Its timers do not keep a process alive. */
export class SystemClock implements Clock {
  readonly #start = performance.now()
  readonly #wall = Date.now()

  now(): Millis {
    return Math.floor(performance.now() - this.#start)
  }

  wall(at: Millis = this.now()): number {
    return this.#wall + at
  }

  after(ms: Millis, callback: () => void): Cancel {
    const due = performance.now() + ms
    let timer: NodeJS.Timeout
    // Node may call back a fraction of a millisecond early; the contract says never.
    const check = (): void => {
      const left = due - performance.now()
      if (left > 0) timer = setTimeout(check, Math.ceil(left)).unref()
      else callback()
    }
    timer = setTimeout(check, Math.max(0, Math.ceil(ms))).unref()
    return () => clearTimeout(timer)
  }
}

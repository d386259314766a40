/**
 * A prober without sockets: it answers each probe as a test wrote it down, on the test's clock. It keeps the contract of the
 * port: one report per probe, none after a cancel, never from inside `probe`.
 */
import type {
  Cancel,
  Clock,
  Millis,
  Prober,
  ProbeKind,
  ProbeOrder,
  ProbeResult,
} from '@health/core'

/** One answer: a result with `afterMs` (default 1) as its latency, or `'silent'`, which ends in a timeout. */
export type FakeAnswer = (Partial<ProbeResult> & { readonly afterMs?: Millis }) | 'silent'

/** A scripted {@link Prober}. Without a script every probe passes with 200 after 1 ms. */
export class FakeProber implements Prober {
  /** Every probe asked for, in order; a repeated one once. */
  readonly asked: ProbeOrder[] = []
  readonly #clock: Clock
  readonly #scripts = new Map<string, FakeAnswer[]>()
  #flying = 0
  readonly #running = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * What this runner (or `*`) answers to this kind (or `*`), one answer per probe, the last one from then on. The nearest
   * script counts: runner and kind, runner, kind, all.
   */
  answer(runner: string, kind: ProbeKind | '*', ...answers: readonly FakeAnswer[]): this {
    this.#scripts.set(`${runner} ${kind}`, [...answers])
    return this
  }

  get flying(): number {
    return this.#flying
  }

  probe(order: ProbeOrder, report: (result: ProbeResult) => void): Cancel {
    this.asked.push(order)
    this.#flying++
    let wait: Cancel = () => undefined
    const end = (): void => {
      if (!this.#running.delete(end)) return
      this.#flying--
      wait()
    }
    this.#running.add(end)
    const ask = (): void => {
      const began = this.#clock.now()
      const { afterMs, ...result } = this.#next(order)
      wait = this.#clock.after(afterMs, () => {
        if (order.everyMs === undefined || result.result === 'passed') {
          end()
          report(result)
        } else {
          wait = this.#clock.after(Math.max(1, order.everyMs - (this.#clock.now() - began)), ask)
        }
      })
    }
    ask()
    return end
  }

  close(): Promise<void> {
    for (const end of this.#running) end()
    return Promise.resolve()
  }

  #next({ runner, kind, timeoutMs }: ProbeOrder): ProbeResult & { readonly afterMs: Millis } {
    const script =
      this.#scripts.get(`${runner} ${kind}`) ??
      this.#scripts.get(`${runner} *`) ??
      this.#scripts.get(`* ${kind}`) ??
      this.#scripts.get('* *')
    const answer = (script && script.length > 1 ? script.shift() : script?.[0]) ?? {}
    if (answer === 'silent')
      return {
        result: 'failed',
        why: 'timeout',
        latencyMs: timeoutMs,
        detail: 'no answer',
        afterMs: timeoutMs,
      }
    const { afterMs = 1, ...given } = answer
    const result = given.result ?? 'passed'
    const connects = kind === 'port' || kind === 'tcp'
    const usual: Partial<ProbeResult> =
      result === 'errored' || connects
        ? {}
        : result === 'passed'
          ? { status: 200 }
          : given.why
            ? {}
            : { status: 503, why: 'status' }
    return { result, latencyMs: afterMs, ...usual, ...given, afterMs }
  }
}

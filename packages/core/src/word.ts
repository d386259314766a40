/**
 * The words of a runner's configurations: which stage it is in, whether it takes work, what people read. Looked up by index,
 * computed once from the chart.
 */
import { type RunnerRecord, runnerTable } from './state.ts'
import type { Configuration } from './table.ts'

/** The four stages, and `gone` apart. */
export type Stage = 'starting' | 'ready' | 'suspect' | 'terminated' | 'gone'

interface Traits {
  readonly stage: Stage
  readonly serving: boolean
  /** Duty is open: may be given work. */
  readonly accepting: boolean
  readonly draining: boolean
  readonly paused: boolean
  /** `failing` or `held`: what panic counts. A question (`verifying`) is not yet a doubt. */
  readonly doubted: boolean
  readonly held: boolean
  readonly verifying: boolean
  /** Ready and open: a neutral outcome changes nothing. */
  readonly calm: boolean
  readonly probe: 'none' | 'port' | 'regular' | 'fast'
  readonly word: string
  readonly ready: boolean
}

const traitsOf = (configuration: Configuration): Traits => {
  const { states, word, meta } = configuration
  const serving = states.has('serving')
  const ready = serving && states.has('ready')
  return {
    stage: states.has('gone')
      ? 'gone'
      : states.has('terminated')
        ? 'terminated'
        : states.has('starting')
          ? 'starting'
          : ready
            ? 'ready'
            : 'suspect',
    serving,
    accepting: states.has('open'),
    draining: states.has('draining'),
    paused: states.has('paused'),
    doubted: states.has('failing') || states.has('held'),
    held: states.has('held'),
    verifying: states.has('verifying'),
    calm: ready && states.has('open'),
    probe: (meta['probe'] as Traits['probe'] | undefined) ?? 'none',
    word,
    ready,
  }
}

const table: readonly Traits[] = runnerTable.configurations.map(traitsOf)

/** What a configuration means, without looking at its nodes. */
export const traits = (configuration: Configuration): Traits => table[configuration.index]!

/** The word people read: `ready` is idle or busy by the gauge given. */
export function wordOf(configuration: Configuration, inFlight: number): string {
  const { ready, word } = table[configuration.index]!
  return ready ? (inFlight > 0 ? 'busy' : 'idle') + word.slice(5) : word
}

/** States, as `state` has them. */
export const runnerStates = ['starting', 'ready', 'suspect', 'terminated'] as const

/** Every word that people read, as `substate` has them, in the order of the chart. */
export const runnerWords: readonly string[] = runnerTable.configurations.flatMap(
  (configuration) => [...new Set([0, 1].map((inFlight) => wordOf(configuration, inFlight)))],
)

/** The word of a runner by the last told gauge, which a replay knows too. */
export const toldWord = (runner: RunnerRecord): string =>
  wordOf(runner.configuration, runner.counted)

const falWords: Readonly<Record<string, string>> = {
  provisioning: 'PENDING',
  setup: 'SETUP',
  backoff: 'CRASH_BACKOFF',
  stopping: 'TERMINATING',
  killing: 'TERMINATING',
  gone: 'TERMINATED',
}

/** fal's word for it; a suspect shows as IDLE or RUNNING. */
export function falState(configuration: Configuration, inFlight: number): string {
  const { draining, word } = table[configuration.index]!
  return falWords[word] ?? (draining ? 'DRAINING' : inFlight > 0 ? 'RUNNING' : 'IDLE')
}

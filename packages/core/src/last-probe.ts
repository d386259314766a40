/**
 * What a runner's last probe said, for people. Answers that say the same share one record, so that a fleet of well runners keeps a
 * time and a latency each and nothing more.
 */
import type { ProbeKind } from './event.ts'

/** The last probe of a runner, for people. */
export interface LastProbe {
  readonly at: number
  readonly kind: ProbeKind
  readonly ok: boolean
  readonly status: number | null
  readonly error: string | null
  readonly latencyMs: number
}

/** The part of an answer that many runners have in common. */
export type ProbeWord = Omit<LastProbe, 'at' | 'latencyMs'>

/** Passes by kind and status: at most a hundred each, since a pass is a 2xx. */
const passes = new Map<ProbeKind, Map<number | null, ProbeWord>>()

/** What an answer said. */
export function probeWord(
  kind: ProbeKind,
  ok: boolean,
  status: number | null,
  error: string | null,
): ProbeWord {
  if (!ok || error !== null) return { kind, ok, status, error }
  let ofKind = passes.get(kind)
  if (ofKind === undefined) passes.set(kind, (ofKind = new Map()))
  let word = ofKind.get(status)
  if (word === undefined) {
    word = Object.freeze({ kind, ok, status, error })
    // Whoever reports other statuses as passes must not fill the memory.
    if (ofKind.size < 100) ofKind.set(status, word)
  }
  return word
}

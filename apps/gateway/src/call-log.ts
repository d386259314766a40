/**
 * Direct calls that crossed a rule, so that somebody can ask why: the last 1000 of each app, in memory. Calls that ended well
 * leave nothing behind.
 */
import type { AttemptLine, Mode } from '@health/core'

/** A direct call as it is remembered. Times are Unix ms. */
export interface CallEntry {
  readonly id: string
  readonly app: string
  /** Digest of the caller's key; '' without keys. */
  readonly owner: string
  readonly mode: Mode
  readonly submittedAt: number
  readonly attempts: readonly AttemptLine[]
  readonly final: {
    readonly status: number
    readonly errorType: string | null
    readonly at: number
  }
}

/** Remembers calls. */
export interface CallLog {
  add(entry: CallEntry): void
  get(id: string): CallEntry | null
}

/** Calls kept of each app; the oldest goes first. */
const KEPT = 1000

/** Creates an empty log. */
export function createCallLog(): CallLog {
  const byApp = new Map<string, Map<string, CallEntry>>()
  const byId = new Map<string, CallEntry>()
  return {
    add(entry) {
      let calls = byApp.get(entry.app)
      if (calls === undefined) byApp.set(entry.app, (calls = new Map()))
      calls.set(entry.id, entry)
      byId.set(entry.id, entry)
      if (calls.size > KEPT) {
        const [oldest] = calls.keys()
        calls.delete(oldest!)
        byId.delete(oldest!)
      }
    },
    get: (id) => byId.get(id) ?? null,
  }
}

/** What a supervisor says about itself: one object per line, for the app's log. Never a secret, never an environment. */

/** How much a line matters. */
export type LineLevel = 'debug' | 'info' | 'warn' | 'error'

/** One line of the log. */
export interface LogLine {
  readonly level: LineLevel
  /** What happened, `subject.past-tense`. */
  readonly event: string
  readonly [field: string]: unknown
}

/** Takes a line; must not throw. */
export type Log = (line: LogLine) => void

/** A message without a stack, at most 200 characters. */
export const textOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).slice(0, 200)

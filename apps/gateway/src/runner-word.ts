/**
 * The words for where a runner is: a state, or a finer word with what is asked of it. One list for the description of the API and for
 * what a caller may ask for.
 */

/** States, as `state` has them. */
export const runnerStates = ['starting', 'ready', 'suspect', 'terminated'] as const

const words = [
  'provisioning',
  'setup',
  'backoff',
  'idle',
  'busy',
  'verifying',
  'failing',
  'held',
  'stopping',
  'killing',
  'gone',
] as const
const marks = ['draining', 'paused'] as const

/** What `substate` may be, as a pattern. */
export const substatePattern = `^(${words.join('|')})(${marks.map((mark) => `\\+${mark}`).join('|')})?$`

/** Every state, and every substate. */
export const runnerWords: readonly string[] = [
  ...runnerStates,
  ...words,
  ...words.flatMap((word) => marks.map((mark) => `${word}+${mark}`)),
]

/**
 * What an error of a socket says, and about whom: the runner (`failed`) or ourselves (`errored`). Two tables and no other rule;
 * a code that is in neither accuses the runner of an invalid answer, and its code is told.
 */
import type { ProbeFailure } from '@health/core'

/** How a probe ended badly. */
export type Ending =
  | { readonly result: 'failed'; readonly why: ProbeFailure; readonly detail: string }
  | { readonly result: 'errored'; readonly detail: string }

/** Errors that say that we could not ask: no descriptor, no memory, no local port, no network, no resolver. */
const OURS: ReadonlySet<string> = new Set([
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'EADDRNOTAVAIL',
  'EADDRINUSE',
  'EACCES',
  'EPERM',
  'ENETUNREACH',
  'ENETDOWN',
  'EAI_AGAIN',
])

/** Errors that say how the runner is. A host that cannot be reached is like one that does not answer: doubt, not fact. */
const THEIRS: Readonly<Record<string, ProbeFailure>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  ECONNABORTED: 'reset',
  EPIPE: 'reset',
  ETIMEDOUT: 'timeout',
  EHOSTUNREACH: 'timeout',
  EHOSTDOWN: 'timeout',
}

/** Translates an error of a socket. */
export function endingOf(error: Error): Ending {
  const code = (error as NodeJS.ErrnoException).code ?? error.name
  if (OURS.has(code)) return { result: 'errored', detail: `could not be asked: ${code}` }
  return { result: 'failed', why: THEIRS[code] ?? 'invalid', detail: code }
}

/**
 * The process's stdout, whatever becomes of it: a closed pipe ends who only writes, a full disk or a lost terminal loses what is
 * written meanwhile and nothing else. It never throws and never waits.
 */
import { writeSync } from 'node:fs'

/** A stream as this file uses it, and the descriptor under it. */
export interface Sink {
  readonly fd: number
  write(text: string): unknown
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown
}

/** Writing that outlives its stream. */
export interface Outlet {
  /** False when it could not be written. */
  write(text: string): boolean
  /** What the first failure was, a closed pipe apart; null while there was none. */
  readonly failure: string | null
}

/** Opens it over a stream; `closed` is called when its reader went away. */
export function openOutlet(sink: Sink, closed: () => void): Outlet {
  let failure: string | null = null
  sink.on('error', (error) => {
    if (error.code === 'EPIPE') closed()
    else failure ??= error.code ?? error.message
  })
  return {
    get failure() {
      return failure
    },
    write(text) {
      if (failure === null) {
        sink.write(text)
        return true
      }
      // A stream is over with its first error; the disk under it may have room again.
      try {
        return writeSync(sink.fd, text) === Buffer.byteLength(text)
      } catch {
        return false
      }
    },
  }
}

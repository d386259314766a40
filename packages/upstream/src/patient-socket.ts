/**
 * A socket that reads to the end what came before a write failed. Node destroys a socket with its first failed write, unread bytes
 * included; but a server that answers early and closes resets the connection under the rest of the body, its answer being here.
 */
import { Socket } from 'node:net'

type Done = (error?: Error | null) => void

/** The other side takes nothing more. Reading goes on, and comes to its own end or failure. */
const closed: ReadonlySet<string | undefined> = new Set(['ECONNRESET', 'EPIPE'])

/** A TCP socket that leaves the end of its connection to its reading side. */
export class PatientSocket extends Socket {
  /** Of the one write that is on its way. */
  #done: Done | null = null
  /** Passes on how a write went, unless the other side was closed: then nothing more is written, and reading decides. */
  readonly #written: Done = (error) => {
    if (error == null || !closed.has((error as NodeJS.ErrnoException).code)) this.#done!(error)
  }

  override _write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
    this.#done = done
    super._write(chunk, encoding, this.#written)
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], done: Done): void {
    this.#done = done
    super._writev!(chunks, this.#written)
  }
}

/**
 * A socket that reads to the end what came before a write failed. Node destroys a socket with its first failed write, unread bytes
 * included; but a server that answers early and closes resets the connection under the rest of the body, its answer being here.
 */
import { Socket } from 'node:net'

type Done = (error?: Error | null) => void

/** The other side takes nothing more. Reading goes on, and comes to its own end or failure. */
const closed: ReadonlySet<string | undefined> = new Set(['ECONNRESET', 'EPIPE'])

/** Passes on how a write went, unless the other side was closed: then nothing more is written, and reading decides. */
const patient =
  (done: Done): Done =>
  (error) => {
    if (error == null || !closed.has((error as NodeJS.ErrnoException).code)) done(error)
  }

/** A TCP socket that leaves the end of its connection to its reading side. */
export class PatientSocket extends Socket {
  override _write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
    super._write(chunk, encoding, patient(done))
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], done: Done): void {
    super._writev!(chunks, patient(done))
  }
}

/**
 * Counts a body of unknown length while it passes: past the limit the stream fails, nothing is buffered. A body whose length is
 * announced was measured before and passes as it is.
 */
import type { IncomingMessage } from 'node:http'
import { Transform, type Readable } from 'node:stream'

/** The body as it may be passed on, at most `bytes` long. */
export function limitBody(request: IncomingMessage, bytes: number): Readable {
  if (request.headers['transfer-encoding'] === undefined) return request
  let seen = 0
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      seen += chunk.length
      if (seen > bytes) next(new BodyTooLarge())
      else next(null, chunk)
    },
  })
  request.on('error', (error) => counted.destroy(error))
  return request.pipe(counted)
}

/** A body without an announced length went past the limit. */
export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge'
}

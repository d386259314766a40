/**
 * Bodies that are read before their route runs (submits and orders): the go-ahead for those that ask for one, and an end for
 * those that never come. Whoever reads before the router watches its own.
 */
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { BodyTooLarge, limitBody } from './body-limit.ts'
import { answerRaw, type Refusal } from './error-answer.ts'
import type { Lanes } from './lane.ts'
import { corsHead } from './response-head.ts'
import { watchStall } from './stall-watch.ts'
import { atTurnEnd } from './turn.ts'

/** What a caller gets whose body does not come. */
export const bodyStalled: Refusal = {
  status: 408,
  errorType: 'bad_request',
  detail: 'The body did not come: less than 1 KB was received in 30 s.',
  headers: { connection: 'close' },
}

/** Something that waits for a body. */
export interface Awaiting {
  /** Begins to watch, if the body is still not here. */
  watchBody(): void
}

/** Has a body watched that does not come with its head. Most are here before this turn of the loop ends: only the others are worth a watch. */
export const watchSoon = atTurnEnd<Awaiting>((one) => one.watchBody())

/** Watches the bodies of an app's requests; `most`: the bytes that one may have, asked at each. */
export function readBodies(app: FastifyInstance, lanes: Lanes, most: () => number): void {
  app.addHook('preParsing', (request, reply, payload, done) => {
    const { raw, headers } = request
    let body: Readable = payload
    if (!request.url.startsWith('/run/')) {
      // Measured here and not by fastify, whose own limit is that of the start.
      const limit = most()
      if (Number(headers['content-length'] ?? 0) > limit) return done(new BodyTooLarge())
      if (headers.expect !== undefined && raw.httpVersionMinor > 0) reply.raw.writeContinue()
      if (!raw.complete && !raw.readableEnded) {
        const watch = watchStall(
          lanes,
          raw.socket,
          () => (raw.complete || raw.destroyed ? 'over' : 'caller'),
          () => {
            // Refused while its body was on the way: there is nothing left to say to it.
            if (reply.raw.headersSent) return void raw.socket.destroy()
            reply.hijack()
            answerRaw(reply.raw, request.id, bodyStalled, corsHead(headers.origin))
          },
        )
        // Otherwise every request would be kept until the next look: at 5 000 a second, 150 000 of them.
        raw.once('close', () => watch.cancel())
        body = limitBody(raw, limit)
        // What is left of it is read away, for the next request of the connection.
        if (body !== raw) body.once('error', () => raw.resume())
      }
    }
    // The body of a request without one may have ended before anybody could listen to it (`optimizeEmptyRequests`).
    done(null, raw.readableEnded ? Readable.from([]) : body)
  })
}

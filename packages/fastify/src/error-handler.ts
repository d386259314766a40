/**
 * Answers errors of a runner's routes with the status that tells a gateway the truth. `answerError` decides; texts of
 * unexpected errors go to the log alone.
 */
import { answerError } from '@health/checks'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** `app.setErrorHandler(runnerErrorHandler)`. */
export function runnerErrorHandler(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const { status, headers, body } = answerError(error)
  if (status >= 500) request.log.error({ err: error, event: 'runner.error', status }, body.detail)
  return reply.code(status).headers(headers).send(body)
}

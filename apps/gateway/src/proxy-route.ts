/**
 * What is left of `/proxy` after rewriting: calls whose target is missing or not one of the platform's services. Calls with a
 * good target never come here; `target.ts` has sent them to the routes of that service.
 */
import type { FastifyInstance } from 'fastify'
import { refuse } from './error-answer.ts'

/** Adds the refusal. */
export function proxyRoutes(app: FastifyInstance): void {
  app.all('/proxy', { config: { access: 'call' } }, async () =>
    refuse(
      400,
      'bad_request',
      'Invalid request: x-fal-target-url must be a URL on fal.run, queue.fal.run or rest.fal.ai.',
    ),
  )
}

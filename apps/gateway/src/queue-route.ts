/**
 * The queue as its callers see it: submit, status, result, cancel. It stores what was sent and answers from memory; moving
 * requests to runners is the dispatcher's work.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { refuse } from './error-answer.ts'
import type { Gateway } from './gateway.ts'
import { later } from './later.ts'
import { statusAnswer } from './queue-answer.ts'
import { submit } from './submit.ts'
import { parseQueueTarget, queueBase, type QueueTarget } from './target.ts'

const PREFIX = '/queue/'.length
const NO_BODY = new Uint8Array(0)

/** Adds the routes of the queue. */
export function queueRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.register(async (plugin) => {
    plugin.removeAllContentTypeParsers()
    plugin.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    )
    plugin.route({
      method: ['GET', 'HEAD', 'POST', 'PUT'],
      url: '/queue/*',
      config: { access: 'call' },
      handler: async (request, reply) => {
        const target = parseQueueTarget(request.method, request.url.slice(PREFIX))
        if (target === null)
          return refuse(404, 'not_found', 'There is no such path under /queue/{owner}/{alias}.')
        switch (target.kind) {
          case 'submit':
            return submit(gateway, {
              id: request.id,
              target,
              request: request.raw,
              body: Buffer.isBuffer(request.body) ? request.body : NO_BODY,
              owner: request.caller?.owner ?? '',
              ours: request.caller !== null && !gateway.gate.isOpen,
              address: request.ip,
              proto: request.protocol,
            })
          case 'cancel':
            return cancel(gateway, request, reply, target)
          case 'status':
            return status(gateway, request, reply, target)
          case 'result':
            return result(gateway, request, reply, target)
          case 'stream':
            return later('The status stream')
          default:
            return target satisfies never
        }
      },
    })
  })
}

type OneRequest = Exclude<QueueTarget, { kind: 'submit' }>

/** The request that is meant, when the caller may see it. */
function find(
  gateway: Gateway,
  request: FastifyRequest,
  { app, id }: OneRequest,
): NonNullable<ReturnType<Gateway['queue']['entry']>> {
  const entry = gateway.queue.entry(id)
  const mine =
    entry !== null && (request.caller?.scope !== 'call' || request.caller.owner === entry.owner)
  if (!mine || entry.app !== app)
    return refuse(404, 'request_not_found', `There is no request ${id.slice(0, 64)} of ${app}.`)
  return entry
}

function status(
  gateway: Gateway,
  request: FastifyRequest,
  reply: FastifyReply,
  target: OneRequest,
): unknown {
  const entry = find(gateway, request, target)
  reply.code(entry.status === 'COMPLETED' ? 200 : 202).header('x-fal-request-id', entry.id)
  return statusAnswer(queueBase(request.raw, request.protocol), entry)
}

async function result(
  gateway: Gateway,
  request: FastifyRequest,
  reply: FastifyReply,
  target: OneRequest,
): Promise<unknown> {
  const entry = find(gateway, request, target)
  reply.header('x-fal-request-id', entry.id)
  if (entry.status !== 'COMPLETED') {
    reply.code(400)
    return {
      detail: 'Request is still in progress',
      status: entry.status,
      error_type: 'bad_request',
      message: 'Request is still in progress',
    }
  }
  const final = await gateway.queue.result(entry.id)
  if (final === null)
    return refuse(404, 'request_not_found', `The result of ${entry.id} is not kept any more.`)
  for (const [name, value] of Object.entries(final.headers)) reply.header(name, value)
  // Not by `code`: it refuses what a runner may say and a direct call passes on, 600 to 999.
  reply.raw.statusCode = final.status
  // Without a type the client takes what comes as text; fastify would say octet-stream.
  return reply.send(
    final.status === 204 || final.status === 304 ? undefined : Buffer.from(final.body),
  )
}

async function cancel(
  gateway: Gateway,
  request: FastifyRequest,
  reply: FastifyReply,
  target: OneRequest,
): Promise<unknown> {
  const entry = find(gateway, request, target)
  const { caller } = request
  if (caller?.scope === 'read' && caller.owner !== entry.owner)
    return refuse(403, 'forbidden', 'A read key cancels only what was submitted with it.')
  reply.header('x-fal-request-id', entry.id)
  const word = await gateway.dispatcher.cancel(entry.id)
  switch (word) {
    case 'cancelled':
    case 'asked':
      reply.code(202)
      return { status: 'CANCELLATION_REQUESTED' }
    case 'completed':
      reply.code(400).header('x-fal-error-type', 'bad_request')
      return {
        status: 'ALREADY_COMPLETED',
        detail: 'The request is completed already.',
        error_type: 'bad_request',
        message: 'The request is completed already.',
      }
    case 'unknown':
      return refuse(
        404,
        'request_not_found',
        `There is no request ${target.id.slice(0, 64)} of ${target.app}.`,
      )
    default:
      return word satisfies never
  }
}

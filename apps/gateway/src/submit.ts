/**
 * Takes a request into the queue: reads what was wished, asks whether there is room, stores it, answers where it stands. By which way
 * the call came makes no difference here, and nothing is written to a caller.
 */
import type { IncomingMessage } from 'node:http'
import { refuse } from './error-answer.ts'
import type { Gateway } from './gateway.ts'
import { later } from './later.ts'
import { submitAnswer } from './queue-answer.ts'
import { forwardHead } from './response-head.ts'
import { readQuery, readSubmission } from './submission.ts'
import { queueBase, type Target } from './target.ts'

/** A call that submits, with its whole body. */
export interface SubmitCall {
  readonly id: string
  readonly target: Target
  readonly request: IncomingMessage
  readonly body: Uint8Array
  readonly owner: string
  /** True when `Authorization` was one of our keys. */
  readonly ours: boolean
  readonly address: string
  readonly proto: string
}

/** Resolves with the answer's body once the request is safe; rejects with what `refusalOf` understands. */
export async function submit(gateway: Gateway, call: SubmitCall): Promise<Record<string, unknown>> {
  const { queue, trouble } = gateway
  const { app } = call.target
  if (gateway.lines.of(app) === null) return refuse(404, 'app_not_found', `There is no app ${app}.`)
  if (gateway.closing())
    refuse(503, 'runner_scheduling_failure', 'The gateway is shutting down.', {
      headers: { 'retry-after': '1' },
    })
  const { path, maxLength, webhook } = readQuery(call.target.path)
  if (webhook !== null) return later('fal_webhook')
  const { request, id, owner } = call
  const now = gateway.clock.wall()
  const submission = readSubmission(request.headers, call.body, {
    id,
    app,
    path,
    owner,
    now,
    head: forwardHead(request.rawHeaders, {
      id,
      address: call.address,
      proto: call.proto,
      host: request.headers.host ?? '',
      ours: call.ours,
    }),
  })
  if (maxLength !== null && queue.size(app, now).all > maxLength) {
    return refuse(
      429,
      'queue_length_limit',
      `More than fal_max_queue_length (${maxLength}) requests wait for ${app}.`,
      { headers: { 'retry-after': '1' } },
    )
  }
  try {
    const { position } = await queue.submit(submission)
    trouble.worked('submit')
    return submitAnswer(queueBase(request, call.proto), app, id, position)
  } catch (error) {
    trouble.failed('submit', error, { app })
    throw error
  }
}

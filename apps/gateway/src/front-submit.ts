/**
 * A submit with a short body that came before the router: reads the body, has it taken, writes the answer. It refuses with the same
 * words as the routes do, and reads nothing that is long.
 */
import type { ServerResponse } from 'node:http'
import { bodyStalled, watchSoon } from './body-watch.ts'
import { answerRaw, type Refusal } from './error-answer.ts'
import type { Gateway } from './gateway.ts'
import type { Wait } from './lane.ts'
import type { Linger } from './linger.ts'
import { answerHead, corsHead } from './response-head.ts'
import { watchStall } from './stall-watch.ts'
import { submit, type SubmitCall } from './submit.ts'

/** Answers the refusal for an error, and logs those that are nobody's fault but ours. */
export type Failed = (id: string, error: unknown) => Refusal

/** A submit on its way. */
export class FrontSubmit {
  readonly #gateway: Gateway
  readonly #call: Omit<SubmitCall, 'body'>
  readonly #response: ServerResponse
  readonly #linger: Linger
  readonly #failed: Failed
  #body: Buffer | null = null
  #stall: Wait | null = null

  constructor(
    gateway: Gateway,
    call: Omit<SubmitCall, 'body'>,
    response: ServerResponse,
    linger: Linger,
    failed: Failed,
  ) {
    this.#gateway = gateway
    this.#call = call
    this.#response = response
    this.#linger = linger
    this.#failed = failed
  }

  /** Reads what is not here yet; `body` is what came with the head, when that is all of it. */
  read(body: Buffer | null): void {
    if (body !== null) {
      this.#body = body
      return void this.#submit()
    }
    const { request } = this.#call
    request.on('data', (piece: Buffer) => {
      this.#body = this.#body === null ? piece : Buffer.concat([this.#body, piece])
    })
    request.on('end', () => void this.#submit())
    // A caller that leaves before its body is here leaves nothing behind.
    request.on('close', () => this.#stall?.cancel())
    watchSoon(this)
  }

  /** Begins to watch a body that is still not here. */
  watchBody(): void {
    const { request } = this.#call
    if (request.complete || request.destroyed) return
    this.#stall = watchStall(
      this.#gateway.lanes,
      request.socket,
      () => (request.complete || request.destroyed ? 'over' : 'caller'),
      () => {
        this.#linger(request, this.#response)
        this.#refuse(bodyStalled)
      },
    )
  }

  async #submit(): Promise<void> {
    if (this.#response.headersSent) return
    const { id, request } = this.#call
    try {
      const answer = await submit(this.#gateway, { ...this.#call, body: this.#body ?? NO_BODY })
      const text = JSON.stringify(answer)
      const head = answerHead(
        id,
        'application/json; charset=utf-8',
        Buffer.byteLength(text),
        corsHead(request.headers.origin),
      )
      this.#response.writeHead(200, head).end(text)
    } catch (error) {
      this.#refuse(this.#failed(id, error))
    }
  }

  #refuse(refusal: Refusal): void {
    answerRaw(this.#response, this.#call.id, refusal, corsHead(this.#call.request.headers.origin))
  }
}

const NO_BODY = new Uint8Array(0)

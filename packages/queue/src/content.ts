/** What is stored beside a request's row, as text and bytes: what was submitted, and the final answer. */
import type { FinalAnswer, QueueEntry, Submission } from '@health/core'
import type { Entry } from './entry.ts'

const text = new TextDecoder()

/** Reads what `Batch.content` wrote: the facts and a view of the bytes. */
function readContent(content: Uint8Array<ArrayBuffer>): {
  readonly facts: unknown
  readonly body: Uint8Array
} {
  const length = new DataView(content.buffer, content.byteOffset, 4).getUint32(0, true)
  return {
    facts: JSON.parse(text.decode(content.subarray(4, 4 + length))),
    body: content.subarray(4 + length),
  }
}

/** The facts of a submission that its row does not hold. */
export function requestFacts(request: Submission): string {
  assertBytes(request.body)
  return JSON.stringify([request.method, request.headers, request.hint, request.webhook])
}

/** The facts of an answer that its row does not hold. */
export function answerFacts(final: FinalAnswer): string {
  assertBytes(final.body)
  return JSON.stringify(final.headers)
}

/** What was submitted, from the entry and the stored content. */
export function readRequest(entry: Entry, content: Uint8Array<ArrayBuffer>): Submission {
  const { facts, body } = readContent(content)
  const [method, headers, hint, webhook] = facts as [
    string,
    Submission['headers'],
    string | null,
    string | null,
  ]
  const { id, app, owner, path, submittedAt, startBefore } = entry
  return {
    id,
    app,
    priority: entry.low ? 'low' : 'normal',
    owner,
    method,
    path,
    headers,
    body,
    submittedAt,
    startBefore,
    hint,
    ...entry.terms,
    webhook,
  }
}

/** The final answer, from its summary and the stored content. */
export function readAnswer(
  final: QueueEntry['final'],
  content: Uint8Array<ArrayBuffer>,
): FinalAnswer | null {
  if (final === null) return null
  const { facts, body } = readContent(content)
  return { ...final, headers: facts as FinalAnswer['headers'], body }
}

/** Before anything of it is written: a row that was begun must be finished. */
function assertBytes(body: unknown): void {
  if (!(body instanceof Uint8Array))
    throw new TypeError('The body of a request or an answer must be a Uint8Array.')
}

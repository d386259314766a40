/**
 * One HTTP question with a limit on time and size, over a connection of its own: a pooled one could hide that nobody listens any more.
 * It says how far it came and judges nothing.
 */
import { request as httpsRequest } from 'node:https'

// Not imported: an import reads every name of `node:http`, and one of them loads a WebSocket client, 13 MB.
const { request: httpRequest } = process.getBuiltinModule('node:http')

/** An answer, or how far the question came. */
export type Answer =
  | {
      readonly kind: 'answered'
      readonly status: number
      readonly type: string
      readonly body: string
      readonly latencyMs: number
    }
  /** Nobody took the connection. */
  | { readonly kind: 'unreachable'; readonly why: string; readonly latencyMs: number }
  /** The connection stood, and no whole answer came. */
  | { readonly kind: 'broken'; readonly why: string; readonly latencyMs: number }

/** What is asked. */
export interface Question {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly timeoutMs: number
}

const MAX_BYTES = 64 * 1024 * 1024

/** Words for the system's codes; the message of an error may hold more than a person wants to read. */
const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  ENOTFOUND: 'host not found',
  EAI_AGAIN: 'host not found',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  HPE_HEADER_OVERFLOW: 'headers too large',
}

/** Asks once. Never rejects; redirects are answers like any other. */
export function ask(url: URL, question: Question): Promise<Answer> {
  const begun = performance.now()
  const latency = (): number => Math.round(performance.now() - begun)
  return new Promise((resolve) => {
    let connected = false
    let done = false
    const finish = (answer: Answer): void => {
      if (done) return
      done = true
      clearTimeout(timer)
      resolve(answer)
      request.destroy()
    }
    const fail = (why: string): void =>
      finish({ kind: connected ? 'broken' : 'unreachable', why, latencyMs: latency() })
    const secure = url.protocol === 'https:'
    const request = (secure ? httpsRequest : httpRequest)(url, {
      method: question.method ?? 'GET',
      agent: false,
      headers: {
        'user-agent': 'health-cli',
        accept: 'application/json, text/plain;q=0.9, */*;q=0.1',
        ...(question.body !== undefined && {
          'content-type': 'application/json',
          'content-length': String(Buffer.byteLength(question.body)),
        }),
        ...question.headers,
      },
    })
    const timer = setTimeout(
      () => fail(`no answer within ${question.timeoutMs / 1000} s`),
      question.timeoutMs,
    )
    request.on('socket', (socket) =>
      socket.once(secure ? 'secureConnect' : 'connect', () => (connected = true)),
    )
    request.on('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? ''
      fail(
        words[code] ??
          (code.startsWith('HPE_')
            ? 'not an HTTP answer'
            : code === ''
              ? error.message.split('\n', 1)[0]!
              : code),
      )
    })
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > MAX_BYTES) fail('the answer is too large')
        else chunks.push(chunk)
      })
      response.on('error', () => fail('the answer broke off'))
      response.on('aborted', () => fail('the answer broke off'))
      response.on('end', () =>
        finish({
          kind: 'answered',
          status: response.statusCode ?? 0,
          type: String(response.headers['content-type'] ?? ''),
          body: Buffer.concat(chunks).toString('utf8'),
          latencyMs: latency(),
        }),
      )
    })
    request.end(question.body)
  })
}

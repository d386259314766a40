/**
 * Finds the HTTP status that tells a gateway the truth about an error: 503 ends the runner, so only a broken runner may say
 * it; a slow dependency is 504, bad input 4xx, everything else 500. It reads texts of errors and passes on none but a caller's own.
 */

/** What can go wrong in a runner, as data: the status to answer and the sentence that is shown. */
export const runnerErrors = {
  invalid_input: { status: 422, detail: 'Invalid input' },
  rate_limited: { status: 429, detail: 'Too many requests' },
  inference_failed: { status: 500, detail: 'Inference failed' },
  dependency_timeout: { status: 504, detail: 'A dependency timed out' },
  runner_broken: { status: 503, detail: 'The runner is broken' },
} as const

export type RunnerErrorKind = keyof typeof runnerErrors

export interface RunnerErrorOptions extends ErrorOptions {
  /** With `rate_limited`: when to come back. Default 1. */
  readonly retryAfterSeconds?: number
  /** Overrides whether a queue tries this request again, whatever the status says. */
  readonly needsRetry?: boolean
}

/** Thrown by a runner that knows what happened: `throw new RunnerError('runner_broken', 'GPU out of memory')`. The text is shown to the caller. */
export class RunnerError extends Error {
  override readonly name = 'RunnerError'
  readonly kind: RunnerErrorKind
  readonly retryAfterSeconds: number
  readonly needsRetry: boolean | null

  constructor(kind: RunnerErrorKind, detail?: string, options: RunnerErrorOptions = {}) {
    super(detail ?? runnerErrors[kind].detail, options)
    this.kind = kind
    this.retryAfterSeconds = options.retryAfterSeconds ?? 1
    this.needsRetry = options.needsRetry ?? null
  }
}

/** What to answer. */
export interface RunnerAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: { readonly detail: string; readonly error_type: string }
}

/** Texts that only a driver or a GPU library writes. A prompt that speaks of CUDA matches none of them. */
const gpuFaults = [
  /\bCUDA (error|driver error|out of memory)/i,
  /\bcuda(Error|Malloc)[A-Z_]/,
  /\b(CUBLAS|CUDNN|CUFFT|CUSPARSE)_STATUS_/,
  /\bNCCL (error|WARN|failure)/i,
  /\bhipError[A-Z]/,
  /\bdevice-side assert/i,
  /\b(GPU|VRAM|device) (is )?out of memory|\bout of memory\b.*\b(GPU|VRAM|device)\b/i,
  /\bGPU (is lost|has fallen off the bus)/i,
]

const timeouts: readonly string[] = [
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
]

/**
 * The answer to an error that a request handler threw. Order: a {@link RunnerError} says what it is; a client error (4xx,
 * failed validation) stays the client's; a GPU fault is 503; a timeout 504; the rest 500, a foreign 503 too, because passing on a
 * dependency's 503 would end a healthy runner.
 */
export function answerError(error: unknown): RunnerAnswer {
  if (error instanceof RunnerError) return answerRunnerError(error)
  const { statusCode, validation, name, code, message } = fields(error)
  if (validation !== undefined || name === 'ZodError')
    return answer('invalid_input', name === 'ZodError' ? undefined : text(message))
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return {
      status: statusCode,
      headers: {},
      body: { detail: text(message) ?? 'Bad request', error_type: 'bad_request' },
    }
  if (isGpuFault(error)) return answer('runner_broken', 'GPU error')
  if (name === 'TimeoutError' || timeouts.includes(String(code)) || statusCode === 504)
    return answer('dependency_timeout')
  const cause = fields(fields(error).cause)
  if (cause.name === 'TimeoutError' || timeouts.includes(String(cause.code)))
    return answer('dependency_timeout')
  return answer('inference_failed')
}

/** True when the text of an error, or of what caused it, is a driver's or a GPU library's. */
export function isGpuFault(error: unknown, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth > 3) return false
  const { message, cause } = fields(error)
  if (typeof message === 'string') {
    const start = message.slice(0, 2000)
    if (gpuFaults.some((pattern) => pattern.test(start))) return true
  }
  return isGpuFault(cause, depth + 1)
}

function answerRunnerError(error: RunnerError): RunnerAnswer {
  const { status, headers, body } = answer(error.kind, error.message)
  const more: Record<string, string> = { ...headers }
  if (error.kind === 'rate_limited')
    more['retry-after'] = String(Math.max(1, Math.ceil(error.retryAfterSeconds)))
  if (error.needsRetry !== null) more['x-fal-needs-retry'] = error.needsRetry ? '1' : '0'
  return { status, headers: more, body }
}

function answer(kind: RunnerErrorKind, detail?: string): RunnerAnswer {
  const { status, detail: standard } = runnerErrors[kind]
  return { status, headers: {}, body: { detail: detail ?? standard, error_type: kind } }
}

function fields(error: unknown): Partial<Record<string, unknown>> {
  return typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {}
}

function text(message: unknown): string | undefined {
  return typeof message === 'string' && message !== '' ? message.slice(0, 1000) : undefined
}

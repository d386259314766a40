// The demo's runner: answers its input as JSON, and misbehaves when told to, so that every rule can be watched at work.
// Plain Node without dependencies; a model server of your own needs no more than this: a port, a health check, honest statuses.
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const LEAK_BYTES = 50 * 1024 * 1024
const UNHEALTHY_ABOVE_BYTES = 300 * 1024 * 1024
const BODY_BYTES = 64 * 1024 * 1024
/** Faults that are nothing but a status. */
const statuses = { error: 500, bad_gateway: 502, unavailable: 503, gateway_timeout: 504 }
const faults = [...Object.keys(statuses), 'crash', 'hang', 'unhealthy', 'leak']

let healthy = true
const leaked = []
/** Running requests by id, to be cancelled by `POST {path}/cancel`. */
const running = new Map()

class Refusal extends Error {
  constructor(status, detail) {
    super(detail)
    this.status = status
  }
}

async function readInput(request) {
  const chunks = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > BODY_BYTES) throw new Refusal(413, 'The input is larger than 64 MB.')
    chunks.push(chunk)
  }
  if (size === 0) return {}
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    throw new Refusal(422, 'The input is not JSON.')
  }
}

/** Reads what the input asks for; a mistake in it is a 422, which blames the caller and not the runner. */
function readWish(input) {
  const {
    fault,
    delayMs = 0,
    headers = {},
    status,
  } = typeof input === 'object' && input !== null ? input : {}
  if (fault !== undefined && !faults.includes(fault))
    throw new Refusal(422, `fault is one of ${faults.join(', ')}.`)
  if (typeof delayMs !== 'number' || !(delayMs >= 0 && delayMs <= 3_600_000))
    throw new Refusal(422, 'delayMs is a number from 0 to 3600000.')
  if (status !== undefined && !(Number.isInteger(status) && status >= 200 && status <= 599))
    throw new Refusal(422, 'status is a whole number from 200 to 599.')
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers))
    throw new Refusal(422, 'headers is an object of names and values.')
  return { fault, delayMs, headers, status: status ?? statuses[fault] ?? 200 }
}

function send(response, status, body, headers = {}) {
  const text = status === 204 || status === 304 ? '' : JSON.stringify(body)
  try {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  } catch {
    for (const name of response.getHeaderNames()) response.removeHeader(name)
    return send(response, 422, {
      detail: 'headers has a name or a value that HTTP does not allow.',
    })
  }
  response.writeHead(status, {
    'content-type': 'application/json',
    ...(text !== '' && { 'content-length': Buffer.byteLength(text) }),
  })
  response.end(text)
}

function health(response) {
  const memory = process.memoryUsage.rss()
  const well = healthy && memory <= UNHEALTHY_ABOVE_BYTES
  send(response, well ? 200 : 500, {
    status: well ? 'healthy' : 'unhealthy',
    memoryMb: Math.round(memory / 1_048_576),
  })
}

/** The input comes back in three server-sent events; `delayMs` lies between them. */
async function stream(response, input, delayMs, headers) {
  response.writeHead(200, {
    ...headers,
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache',
  })
  for (let step = 1; step <= 3 && !response.destroyed; step++) {
    response.write(`data: ${JSON.stringify({ step, of: 3, input })}\n\n`)
    if (step < 3) await sleep(delayMs)
  }
  response.end()
}

async function answer(request, response, path) {
  const input = await readInput(request)
  const { fault, delayMs, headers, status } = readWish(input)
  const id = request.headers['x-fal-request-id']
  const cancel = new AbortController()
  if (typeof id === 'string') running.set(id, cancel)
  response.on('close', () => {
    cancel.abort()
    if (running.get(id) === cancel) running.delete(id)
  })
  if (path.endsWith('/stream') && status === 200 && fault === undefined)
    return stream(response, input, delayMs, headers)
  try {
    if (delayMs > 0) await sleep(delayMs, undefined, { signal: cancel.signal })
    if (fault === 'hang') await sleep(2 ** 31 - 1, undefined, { signal: cancel.signal })
  } catch {
    if (!response.destroyed) send(response, 499, { detail: 'Cancelled.' })
    return
  }
  if (fault === 'crash') process.exit(1)
  if (fault === 'unhealthy') healthy = false
  if (fault === 'leak') leaked.push(Buffer.alloc(LEAK_BYTES, 1))
  send(response, status, input, headers)
}

const server = createServer((request, response) => {
  const path = (request.url ?? '/').split('?', 1)[0]
  if (path === '/health') return health(response)
  if (path.startsWith('/.well-known/')) return send(response, 404, { detail: 'Not Found' })
  if (request.method === 'POST' && path.endsWith('/cancel')) {
    const found = running.get(request.headers['x-fal-request-id'])
    found?.abort()
    return send(response, found ? 200 : 404, { cancelled: found !== undefined })
  }
  answer(request, response, path).catch((error) => {
    if (response.headersSent) response.destroy()
    else if (error instanceof Refusal) send(response, error.status, { detail: error.message })
    else if (!response.destroyed) send(response, 500, { detail: 'Internal Server Error' })
  })
})

server.listen(Number(process.env.PORT ?? 9000), '127.0.0.1', () =>
  console.log(`echo listens on ${server.address().port}`),
)
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    server.close(() => process.exit(0))
    server.closeIdleConnections()
  })
}

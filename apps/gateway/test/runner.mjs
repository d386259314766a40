// A runner for tests: does what the request's headers and query tell it, and reports what it saw.
import { openSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const seen = []
const cancelled = []
const waiting = new Map()
/** Streams that wait for `/go` before each further event. */
const held = []

/** True the first time that any runner sees this request: a file in a folder that all share is the memory. */
function isFirst(id) {
  try {
    openSync(join(process.env.ONCE_DIR, id), 'wx')
    return true
  } catch {
    return false
  }
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://runner')
  if (url.pathname === '/health') return response.writeHead(200).end()
  // It declares nothing; who asks is no caller.
  if (url.pathname.startsWith('/.well-known/')) return response.writeHead(404).end()
  const wish = url.searchParams
  const id = request.headers['x-fal-request-id']
  if (url.pathname.endsWith('/cancel')) {
    cancelled.push({ id, path: url.pathname })
    response.writeHead(wish.has('deaf') ? 404 : 200, { 'content-length': 0 }).end()
    waiting.get(id)?.abort()
    return
  }
  if (url.pathname === '/go') {
    for (const go of held.splice(0)) go()
    return response.writeHead(200).end()
  }
  if (url.pathname === '/seen')
    return response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ seen, cancelled }))
  if (wish.has('early')) {
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.write('early')
  }
  const chunks = []
  let size = 0
  try {
    for await (const chunk of request) {
      size += chunk.length
      if (size < 10_000) chunks.push(chunk)
    }
  } catch {
    return
  }
  const body = Buffer.concat(chunks).toString('utf8')
  seen.push({
    method: request.method,
    url: request.url,
    headers: request.headers,
    size,
    body: body.slice(0, 1000),
  })
  if (wish.has('exit')) process.exit(1)
  if (wish.has('drop')) return request.socket.destroy()
  if (wish.has('reset')) return request.socket.resetAndDestroy()
  if (wish.has('garbage')) return request.socket.end('what is this\r\n\r\n')
  if (wish.has('bighead'))
    return response.writeHead(200, { 'x-big': 'a'.repeat(20_000) }).end('big')
  if (wish.has('half')) {
    response.writeHead(200, { 'content-length': 1000 })
    response.write('half')
    return setTimeout(() => request.socket.destroy(), 20)
  }
  const delay = Number(wish.get('delay') ?? 0)
  if (delay > 0) {
    const stop = new AbortController()
    waiting.set(id, stop)
    try {
      await sleep(delay, undefined, { signal: stop.signal })
    } catch {
      return response
        .writeHead(499, { 'content-type': 'application/json' })
        .end('{"detail":"cancelled"}')
    } finally {
      waiting.delete(id)
    }
  }
  if (url.pathname.endsWith('/stream')) {
    const asks = wish.has('check') ? { 'x-fal-runner-health-check': '1' } : {}
    response.writeHead(200, { 'content-type': wish.get('type') ?? 'text/event-stream', ...asks })
    for (let i = 0; i < Number(wish.get('events') ?? 3); i++) {
      response.write(`data: ${JSON.stringify({ i })}\n\n`)
      if (wish.has('hold')) await new Promise((resolve) => held.push(resolve))
      if (response.destroyed) return
    }
    return response.end()
  }
  if (wish.has('big')) {
    const total = Number(wish.get('big'))
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': total })
    const chunk = Buffer.alloc(65_536, 1)
    for (let sent = 0; sent < total; sent += chunk.length) {
      if (!response.write(total - sent < chunk.length ? chunk.subarray(0, total - sent) : chunk))
        await new Promise((resolve) => response.once('drain', resolve))
    }
    return response.end()
  }
  if (wish.has('once') && !isFirst(id))
    return response.writeHead(200, { 'content-type': 'application/json' }).end('{"again":true}')
  const status = Number(wish.get('status') ?? 200)
  const headers = {
    'content-type': wish.get('type') ?? 'application/json',
    'x-runner-pid': String(process.pid),
  }
  for (const [name, value] of wish)
    if (name.startsWith('x-') || ['retry-after', 'location', 'constructor'].includes(name))
      headers[name] = value
  if (wish.has('cookie')) headers['set-cookie'] = wish.getAll('cookie')
  const text =
    status === 204 || status === 304
      ? undefined
      : JSON.stringify({ pid: process.pid, method: request.method, path: request.url, body })
  response.writeHead(status, headers).end(text)
})
server.keepAliveTimeout = Number(process.env.KEEP_ALIVE_MS ?? 5000)
server.listen(Number(process.env.PORT), '127.0.0.1')
process.on('SIGTERM', () => server.close(() => process.exit(0)))

// A runner for fault tests: leaves marks in a folder that all share, and is as sick as files in that folder say.
import { spawn } from 'node:child_process'
import { appendFileSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const scene = process.env.FAULT_SCENE
const me = process.env.HEALTH_RUNNER_ID
const mark = (file, text) => appendFileSync(join(scene, file), `${text}\n`)

/** Whether a file of the scene names this runner, or all. */
function named(file) {
  try {
    const names = readFileSync(join(scene, file), 'utf8').split('\n')
    return names.includes(me) || names.includes('all')
  } catch {
    return false
  }
}

// A member of the group that knows nothing of signals to its leader.
if (process.env.FAULT_CHILD) spawn('sleep', ['1000'], { stdio: 'ignore' })

const waiting = new Map()

const server = createServer(async (request, response) => {
  const { pathname, searchParams: wish } = new URL(request.url, 'http://runner')
  if (pathname === '/health') {
    if (named('hanging')) return
    return response.writeHead(named('sick') ? 500 : 200).end()
  }
  if (pathname.startsWith('/.well-known/')) return response.writeHead(404).end()
  const id = request.headers['x-fal-request-id']
  if (pathname.endsWith('/cancel')) {
    mark('cancelled', `${String(id)} ${process.pid}`)
    waiting.get(id)?.abort()
    return response.writeHead(200, { 'content-length': 0 }).end()
  }
  let size = 0
  try {
    for await (const chunk of request) size += chunk.length
  } catch {
    return
  }
  mark('ran', `${String(id)} ${process.pid}`)
  if (wish.has('ms')) {
    const stop = new AbortController()
    waiting.set(id, stop)
    await sleep(Number(wish.get('ms')), undefined, { signal: stop.signal }).catch(() => {})
    waiting.delete(id)
  }
  if (wish.has('flood')) {
    // Synchronous, as a runner that prints in a loop.
    const line = Buffer.alloc(65_536, 'x')
    for (let left = Number(wish.get('flood')); left > 0; left -= line.length)
      process.stdout.write(line)
  }
  if (wish.has('garbage')) return request.socket.end('what is this\r\n\r\n')
  if (wish.has('head')) {
    // A head of which each line is fine and which never ends.
    request.socket.write('HTTP/1.1 200 OK\r\n')
    const more = () => {
      while (request.socket.writable && request.socket.write(`x-more: ${'a'.repeat(1000)}\r\n`));
    }
    request.socket.on('drain', more).on('error', () => {})
    return more()
  }
  if (wish.has('body')) {
    // A body of so many bytes; `endless` without an end.
    const total = wish.get('body') === 'endless' ? Infinity : Number(wish.get('body'))
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    const chunk = Buffer.alloc(65_536, 1)
    for (let sent = 0; sent < total && !response.destroyed; sent += chunk.length)
      if (!response.write(chunk))
        await new Promise((resolve) => {
          response.once('drain', resolve).once('close', resolve)
        })
    return response.end()
  }
  response
    .writeHead(200, { 'content-type': 'application/json' })
    .end(JSON.stringify({ id, pid: process.pid, version: process.env.FAULT_VERSION, size }))
})
server.listen(Number(process.env.PORT), '127.0.0.1')
process.on('SIGTERM', () => server.close(() => process.exit(0)))

// Callers and runners that misbehave, all against one gateway at the same time: its memory stays bounded, who misbehaves gets a
// clear answer or none, and somebody who calls every 100 ms notices nothing.
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { APP, Scene, within, type Actor } from './fault-scene.ts'
import { call, until } from './gateway-process.ts'

/** How many descriptors this machine lets one process have; the gateway of the test has the same limit. */
function descriptors(): number {
  const said = spawnSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).stdout.trim()
  return said === 'unlimited' ? Number.POSITIVE_INFINITY : Number(said)
}
/** Callers get two thirds of the descriptors; the other tests of this file, which run at the same time, need some of them. */
const CONNECTIONS = Math.min(10_000, Math.floor((descriptors() * 2) / 3) - 500)
const MB = 1_048_576
const RUNNER_LOG_BYTES = 4 * MB
/**
 * What the gateway may need above what it needs at rest, in MB, since all of this may come together: 10 000 sockets (13.5 KB each,
 * measured), one stored answer while its pieces become a whole (twice 64), and 35 for the buffers of streams and what the collector has
 * not taken yet.
 */
const MORE_MB = 135 + 2 * 64 + 35

let scene: Scene
let gateway: Actor
let port: number
let restMb: number
let peakMb = 0
let sampling: NodeJS.Timeout
let canary: { stop(): Promise<void>; readonly failed: string[]; readonly times: number[] }

/** Calls every 100 ms until it is stopped; keeps whatever is not a 200, and how long each took. */
function startCanary(url: string): typeof canary {
  const failed: string[] = []
  const times: number[] = []
  const open = new Set<Promise<void>>()
  const sing = async (): Promise<void> => {
    const from = performance.now()
    const said = await call(url, `/run/${APP}/work`).then(
      ({ status }) => String(status),
      (error: unknown) => String(error),
    )
    times.push(performance.now() - from)
    if (said !== '200') failed.push(said)
  }
  const timer = setInterval(() => {
    const song = sing()
    open.add(song)
    void song.finally(() => open.delete(song))
  }, 100)
  return {
    failed,
    times,
    async stop() {
      clearInterval(timer)
      await Promise.all(open)
    },
  }
}

beforeAll(async () => {
  scene = new Scene()
  const pool = { minConcurrency: 1, maxConcurrency: 1, maxMultiplexing: 200, keepAliveSeconds: 600 }
  const bad = scene.app({ ...pool, maxConcurrency: 3, requestTimeoutSeconds: 15 })
  writeFileSync(
    scene.file,
    JSON.stringify({
      limits: { connections: CONNECTIONS + 500, bodyBytes: 20 * MB },
      logs: { runnerBytes: RUNNER_LOG_BYTES },
      apps: { [APP]: scene.app({ ...pool, requestTimeoutSeconds: 100 }), 'hostile/app': bad },
    }),
  )
  gateway = await scene.start()
  await gateway.ready(2)
  port = Number(new URL(gateway.url).port)
  canary = startCanary(gateway.url)
  await until(
    async () => canary.times.length,
    (count) => count >= 20,
  )
  restMb = gateway.rssMb
  sampling = setInterval(() => (peakMb = Math.max(peakMb, gateway.rssMb)), 100)
})

afterAll(async () => {
  clearInterval(sampling)
  await canary.stop()
  await scene[Symbol.asyncDispose]()
})

/** A connection on which anything may be sent; collects what comes unless told to read nothing. */
async function dial(): Promise<{ socket: Socket; heard: () => string; closed: Promise<unknown> }> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await once(socket, 'connect')
  socket.on('data', (data) => {
    if (text.length < 10_000) text += data.toString('latin1')
  })
  return { socket, heard: () => text, closed }
}

/** Sends one byte a second until the other side has enough. */
async function drip(head: string, bytes: string): Promise<string> {
  const { socket, heard, closed } = await dial()
  socket.write(head)
  let next = 0
  const timer = setInterval(() => socket.write(bytes[next++ % bytes.length]!), 1000)
  await closed
  clearInterval(timer)
  return heard()
}

/** Posts a body of so many bytes, as fast as it is taken. */
function post(
  path: string,
  bytes: number,
  announced: boolean,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const out = request({
      host: '127.0.0.1',
      port,
      path,
      method: 'POST',
      agent: false,
      headers: {
        'content-type': 'application/octet-stream',
        ...(announced && { 'content-length': bytes }),
      },
    })
    let answered = false
    const chunk = Buffer.alloc(65_536, 7)
    let sent = 0
    const more = (): void => {
      while (sent < bytes && !answered) {
        sent += chunk.length
        if (!out.write(chunk)) return void out.once('drain', more)
      }
      if (!answered) out.end()
    }
    out.on('response', (response: IncomingMessage) => {
      answered = true
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      response.on('end', () => {
        resolve({ status: response.statusCode!, text })
        out.destroy()
      })
    })
    out.on('error', (error) => {
      if (!answered) reject(error)
    })
    more()
  })
}

test.concurrent('heads that come one byte a second are answered 408 and closed', async () => {
  const heads = Array.from({ length: 50 }, () =>
    drip(`GET /run/${APP}/work HTTP/1.1\r\nhost: x\r\n`, 'x-slow: aaaaaaaaaaaaaaa'),
  )
  for (const heard of await Promise.all(heads)) expect(heard).toMatch(/^HTTP\/1\.1 408 /)
}, 90_000)

test.concurrent.for([`/run/${APP}/work`, '/run/hostile/app/work', `/queue/${APP}/work`])(
  'bodies for %s that stop or come one byte a second are answered 408 and closed',
  { timeout: 120_000 },
  async (path) => {
    const head = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 5000\r\n\r\n`
    const silent = async (): Promise<string> => {
      const { socket, heard, closed } = await dial()
      socket.write(`${head}some`)
      await closed
      return heard()
    }
    const bodies = Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? silent() : drip(head, 'a')))
    for (const heard of await Promise.all(bodies)) {
      expect(heard).toMatch(/^HTTP\/1\.1 408 /)
      expect(heard).toContain('x-fal-error-type')
    }
  },
)

test.concurrent('readers that stop are let go; the runner writes no faster than they read', async () => {
  const readers = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const { socket, closed } = await dial()
      socket.write(`GET /run/${APP}/work?body=endless HTTP/1.1\r\nhost: x\r\n\r\n`)
      await once(socket, 'data')
      socket.pause()
      return { socket, closed }
    }),
  )
  // Their connections are cut, which a reader that stopped sees as soon as it reads on.
  const inFlight = async (): Promise<number> =>
    (await call(gateway.url, '/v1/apps')).value.apps.find(({ id }: { id: string }) => id === APP)
      .inFlight
  // One call of the canary may be among them.
  await until(inFlight, (count) => count < 5)
  for (const { socket, closed } of readers) {
    socket.resume()
    await closed
    expect(socket.destroyed).toBe(true)
  }
}, 120_000)

test.concurrent(`${CONNECTIONS} idle connections are held, and cost the others nothing`, async () => {
  const idle: Socket[] = []
  for (let n = 0; n < CONNECTIONS; n++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    idle.push(socket)
    if (n % 100 === 99) await once(socket, 'connect')
  }
  // They may all still speak.
  const last = idle.at(-1)!
  last.write(`GET /run/${APP}/work HTTP/1.1\r\nhost: x\r\n\r\n`)
  expect(String((await once(last, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 /)
  const from = canary.times.length
  await until(
    async () => canary.times.length,
    (count) => count > from + 50,
  )
  for (const socket of idle) socket.destroy()
}, 120_000)

test.concurrent('bodies of 100 MB are refused by name, announced or not, on the queue and on direct calls', async () => {
  for (const path of [`/queue/${APP}/work`, `/run/${APP}/work`])
    for (const announced of [true, false]) {
      const { status, text } = await post(path, 100 * MB, announced)
      expect([path, announced, status]).toEqual([path, announced, 413])
      expect(JSON.parse(text).error_type).toBe('body_too_large')
    }
  const whole = await post(`/run/${APP}/work`, 19 * MB, false)
  expect([whole.status, JSON.parse(whole.text).size]).toEqual([200, 19 * MB])
}, 120_000)

test.concurrent('who is refused and then falls silent with half a body is closed', async () => {
  for (const [path, status] of [
    [`/queue/${APP}/work`, 413],
    [`/run/${APP}/work`, 413],
    ['/queue/no/app', 404],
  ] as const) {
    const { socket, heard, closed } = await dial()
    const length = status === 413 ? 100 * MB : 1000
    socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\nsome`)
    await closed
    expect(heard()).toMatch(status === 413 ? /^HTTP\/1\.1 413 / : /^HTTP\/1\.1 40[48] /)
  }
}, 120_000)

test.concurrent('a runner that floods its output fills neither the disk nor the gateway', async () => {
  const flood = 400 * MB
  const { status } = await call(gateway.url, `/run/hostile/app/work?flood=${flood}`)
  expect(status).toBe(200)
  const logs = join(scene.folder, 'data', 'logs')
  const size = (): number =>
    readdirSync(logs).reduce((sum, name) => sum + statSync(join(logs, name)).size, 0)
  await within(20_000, size, (bytes) => bytes <= 2 * RUNNER_LOG_BYTES + MB)
}, 120_000)

test.concurrent('runners that answer garbage, endless heads or endless bodies are cut, and their callers told', async () => {
  const hostile = (query: string): ReturnType<typeof call> =>
    call(gateway.url, `/run/hostile/app/work?${query}`)
  for (const [query, wanted] of [
    ['garbage', 503],
    ['head', 502],
  ] as const) {
    const { status, headers } = await hostile(query)
    expect([query, status]).toEqual([query, wanted])
    expect(headers.get('x-fal-error-type')).toMatch(/^runner_/)
  }
  // An endless body is streamed as long as the caller wants it.
  const stream = await fetch(`${gateway.url}/run/hostile/app/work?body=endless`)
  const reader = stream.body!.getReader()
  for (let seen = 0; seen < 50 * MB;) seen += (await reader.read()).value!.byteLength
  await reader.cancel()
  // On the queue it is dropped past the bound, and ends by requestTimeoutSeconds.
  const answer = await call(gateway.url, '/queue/hostile/app/work?body=endless', {
    method: 'POST',
    headers: { 'x-fal-no-retry': '1' },
  })
  const id = answer.value.request_id
  const entry = await gateway.completed(id)
  expect(entry.final?.status).toBe(504)
}, 120_000)

test('through all of it every call of the canary was answered, memory stayed bounded, and the end is in order', async () => {
  await canary.stop()
  clearInterval(sampling)
  const { times, failed } = canary
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number => Math.round(sorted[Math.floor(share * (times.length - 1))]!)
  console.log(
    `canary: ${times.length} calls, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, slowest ${at(1)} ms; gateway: ${Math.round(restMb)} MB at rest, ${Math.round(peakMb)} MB at most`,
  )
  expect(failed).toEqual([])
  expect(peakMb - restMb).toBeLessThan(MORE_MB)
  const code = await gateway.stop()
  // A gateway that fell says why.
  expect([code, (await gateway.process.ended).err]).toEqual([0, ''])
  expect(scene.processes()).toEqual([])
})

import { execFile } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttp, type Server } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { clockSkew } from '../src/check/clock-skew.ts'
import { dns } from '../src/check/dns.ts'
import { http, type HttpOptions } from '../src/check/http.ts'
import { icmp } from '../src/check/icmp.ts'
import { tcp } from '../src/check/tcp.ts'
import { tls } from '../src/check/tls.ts'
import { ask, failed, healthy, warned } from './stub/ask.ts'
import { closedPort, lacks, listen, type Stub } from './stub/server.ts'

let folder = ''
let hanging: Stub
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'health-network-'))
  hanging = await listen()
})
afterAll(async () => {
  await hanging[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

/** What hangs must be left with nothing open behind it. */
async function hangs(check: Parameters<typeof ask>[0]): Promise<void> {
  expect(await ask(check)).toEqual(failed('timeout'))
  await hanging.idle()
}

describe('tcp', () => {
  test('accepts, refuses, has no such name', async () => {
    expect(await ask(tcp({ port: hanging.port }))).toEqual(healthy)
    expect(await ask(tcp({ port: await closedPort() }))).toEqual(failed('connection_refused'))
    expect(await ask(tcp({ host: 'nowhere.invalid', port: 1, timeoutSeconds: 20 }))).toEqual(
      failed('host_not_found'),
    )
  })
})

describe('http', () => {
  let server: Server
  let base = ''
  beforeAll(async () => {
    server = createHttp((request, response) => {
      const url = new URL(request.url ?? '/', 'http://x')
      if (url.pathname === '/slow-body') {
        response.write('{')
        return
      }
      const status = Number(url.searchParams.get('status') ?? 200)
      const seen = { status: 'ok', method: request.method, key: request.headers['x-key'] ?? null }
      response.writeHead(status, { location: '/elsewhere' })
      response.end(url.pathname === '/big' ? 'x'.repeat(100_000) : JSON.stringify(seen))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })

  test.for<[string, Partial<HttpOptions>, unknown]>([
    ['/', {}, healthy],
    ['/?status=500', {}, failed('unexpected_status')],
    ['/?status=302', {}, failed('unexpected_status')],
    ['/?status=302', { status: 302 }, healthy],
    ['/?status=401', { status: [200, 401] }, healthy],
    ['/', { body: '"status":"ok"' }, healthy],
    ['/', { body: 'nowhere' }, failed('unexpected_answer')],
    ['/', { body: /"method":"POST"/, method: 'POST' }, healthy],
    [
      '/',
      { body: (json) => (json as { key: string }).key === 'k', headers: { 'x-key': 'k' } },
      healthy,
    ],
    ['/', { body: () => false }, failed('unexpected_answer')],
    ['/big', { body: 'xxx' }, failed('too_large')],
    ['/big', { body: (json) => json !== null, maxBytes: 200_000 }, failed('unexpected_answer')],
    ['/big', {}, healthy],
  ])('%s %j', async ([path, options, expected]) => {
    expect(await ask(http({ url: `${base}${path}`, ...options }))).toEqual(expected)
  })

  test('a body that never ends, a server that never answers, one that is gone', async () => {
    const slow = http({ url: `${base}/slow-body`, body: 'x', timeoutSeconds: 0.3 })
    expect(await ask(slow)).toEqual(failed('timeout'))
    await hangs(http({ url: `http://127.0.0.1:${hanging.port}/`, timeoutSeconds: 0.3 }))
    const gone = http({ url: `http://127.0.0.1:${await closedPort()}/` })
    expect(await ask(gone)).toEqual(failed('connection_refused'))
  })

  test('what is no http address is refused', () => {
    expect(() => http({ url: 'file:///etc/passwd' })).toThrow('http.url')
  })
})

describe('certificates', () => {
  const servers: { port: number; close(): void }[] = []
  let pems: Record<'fresh' | 'soon' | 'expired', { key: string; cert: string }>
  beforeAll(async () => {
    try {
      pems = { fresh: await certify(400), soon: await certify(7), expired: await certify(-1) }
    } catch {
      return
    }
  })
  beforeEach((context) => {
    if (pems === undefined) lacks(context, 'the program openssl')
  })
  afterAll(() => {
    for (const server of servers) server.close()
  })

  async function certify(days: number): Promise<{ key: string; cert: string }> {
    const [key, cert] = [join(folder, `${days}.key`), join(folder, `${days}.crt`)]
    const dates =
      days < 0
        ? ['-not_before', '20200101000000Z', '-not_after', '20200201000000Z']
        : ['-days', String(days)]
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    const out = ['-keyout', key, '-out', cert]
    await promisify(execFile)('openssl', ['req', ...kind, ...dates, ...subject, ...out]).catch(
      async (error: unknown) => {
        // Older versions cannot write a certificate of the past with `req`; `ca`-less `x509 -days -1` is their way.
        if (days >= 0) throw error
        const csr = join(folder, 'past.csr')
        await promisify(execFile)('openssl', [
          'req',
          '-new',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:prime256v1',
          '-nodes',
          '-keyout',
          key,
          '-out',
          csr,
          '-subj',
          '/CN=localhost',
        ])
        const names = join(folder, 'past.ext')
        await writeFile(names, 'subjectAltName=DNS:localhost\n')
        await promisify(execFile)('openssl', [
          'x509',
          '-req',
          '-in',
          csr,
          '-signkey',
          key,
          '-days',
          '-1',
          '-extfile',
          names,
          '-out',
          cert,
        ])
      },
    )
    return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') }
  }

  async function serve(pem: { key: string; cert: string }): Promise<number> {
    const server = createHttps(pem, (_, response) => response.end('ok'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    servers.push({
      port,
      close() {
        server.closeAllConnections()
        server.close()
      },
    })
    return port
  }

  const local = { host: '127.0.0.1', servername: 'localhost' }

  test('days left decide', async () => {
    const fresh = { ...local, port: await serve(pems.fresh), ca: pems.fresh.cert }
    expect(await ask(tls(fresh))).toEqual(healthy)
    expect(await ask(tls({ ...fresh, warnDays: 500 }))).toEqual(warned('certificate_expiring'))
    const soon = { ...local, port: await serve(pems.soon), ca: pems.soon.cert }
    expect(await ask(tls(soon))).toEqual(warned('certificate_expiring'))
    expect(await ask(tls({ ...soon, minDays: 10 }))).toEqual(failed('certificate_expiring'))
    const past = { ...local, port: await serve(pems.expired), ca: pems.expired.cert }
    expect(await ask(tls(past))).toEqual(failed('certificate_expired'))
  })

  test('not trusted, another name, no TLS at all, no answer', async () => {
    const port = await serve(pems.fresh)
    expect(await ask(tls({ ...local, port }))).toEqual(failed('certificate_untrusted'))
    const other = tls({ host: '127.0.0.1', servername: 'other.test', port, ca: pems.fresh.cert })
    expect(await ask(other)).toEqual(failed('certificate_untrusted'))
    const plain = await listen((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'))
    expect(await ask(tls({ ...local, port: plain.port }))).toEqual(failed('tls_failed'))
    await plain[Symbol.asyncDispose]()
    await hangs(tls({ ...local, port: hanging.port, timeoutSeconds: 0.3 }))
  })

  test('https uses the same trust', async () => {
    const port = await serve(pems.fresh)
    const url = `https://localhost:${port}/`
    expect(await ask(http({ url, ca: pems.fresh.cert }))).toEqual(healthy)
    expect(await ask(http({ url }))).toEqual(failed('certificate_untrusted'))
  })
})

/** A UDP server on loopback that answers as told. */
async function datagrams(
  answer: (question: Buffer) => Buffer | null,
): Promise<{ port: number; socket: Socket }> {
  const socket = createSocket('udp4')
  socket.on('message', (question, from) => {
    const reply = answer(question)
    if (reply !== null) socket.send(reply, from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return { port: socket.address().port, socket }
}

describe('dns', () => {
  let stub: { port: number; socket: Socket }
  beforeAll(async () => {
    // Answers every A question with two addresses, "gone." with NXDOMAIN, and "mute." with nothing.
    stub = await datagrams((question) => {
      const name = question.subarray(12, question.indexOf(0, 12)).toString('latin1')
      if (name.includes('mute')) return null
      const end = question.indexOf(0, 12) + 5
      const head = Buffer.from(question.subarray(0, end))
      const gone = name.includes('gone')
      head.writeUInt16BE(gone ? 0x8183 : 0x8180, 2)
      head.writeUInt16BE(gone ? 0 : 2, 6)
      head.writeUInt16BE(0, 8)
      head.writeUInt16BE(0, 10)
      const record = (last: number) =>
        Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, last])
      return gone ? head : Buffer.concat([head, record(1), record(2)])
    })
  })
  afterAll(() => void stub.socket.close())

  test.for([
    [{ name: 'db.test' }, healthy],
    [{ name: 'db.test', minRecords: 2, expect: '10.0.0.2' }, healthy],
    [{ name: 'db.test', minRecords: 3 }, failed('too_small')],
    [{ name: 'db.test', expect: '10.0.0.9' }, failed('unexpected_answer')],
    [{ name: 'gone.test' }, failed('host_not_found')],
    [{ name: 'mute.test', timeoutSeconds: 0.3 }, failed('timeout')],
  ] as const)('%j', async ([options, expected]) => {
    const servers = [`127.0.0.1:${stub.port}`]
    expect(await ask(dns({ timeoutSeconds: 20, ...options, servers }))).toEqual(expected)
  })
})

describe('clock skew', () => {
  test.for<[number, unknown]>([
    [0, healthy],
    [2000, warned('skewed')],
    [-2000, warned('skewed')],
    [60_000, failed('skewed')],
    [Number.NaN, failed('skewed')],
  ])('a reference %d ms ahead', async ([ahead, expected]) => {
    expect(await ask(clockSkew({ reference: () => Date.now() + ahead }))).toEqual(expected)
  })

  const sntp =
    (stratum: number, ahead = 0) =>
    () => {
      const answer = Buffer.alloc(48)
      answer[0] = 0x24
      answer[1] = stratum
      const at = Date.now() + ahead
      answer.writeUInt32BE(Math.floor(at / 1000) + 2_208_988_800, 40)
      answer.writeUInt32BE(Math.floor(((at % 1000) / 1000) * 2 ** 32), 44)
      return answer
    }
  test.for<[string, (question: Buffer) => Buffer | null, unknown]>([
    ['right', sntp(2), healthy],
    ['an hour ahead', sntp(2, 3_600_000), failed('skewed')],
    ['not synchronised itself', sntp(0), failed('unexpected_answer')],
    ['not speaking NTP', () => Buffer.from('hello'), failed('unexpected_answer')],
    ['mute', () => null, failed('timeout')],
  ])('a server that is %s', async ([name, answer, expected]) => {
    const { port, socket } = await datagrams(answer)
    const timeoutSeconds = name === 'mute' ? 0.3 : 20
    const check = clockSkew({
      host: '127.0.0.1',
      port,
      timeoutSeconds,
      warnSeconds: 10,
      maxSeconds: 60,
    })
    expect(await ask(check)).toEqual(expected)
    socket.close()
  })
})

describe('icmp', () => {
  /** A `ping` of our own, which answers with an exit code and checks how it was asked. */
  async function ping(code: number, sleeps = false): Promise<string> {
    const path = join(folder, `ping-${code}-${sleeps}`)
    const wait = sleeps ? 'exec sleep 60' : ''
    const asked = '[ "$1 $2 $3 $4 $5" = "-n -c 1 -W 20" ] && [ "$6" = "192.0.2.1" ] || exit 9'
    await writeFile(path, `#!/bin/sh\n${sleeps ? '' : asked}\n${wait}\nexit ${code}\n`)
    await chmod(path, 0o755)
    return path
  }
  test.for<[number, unknown]>([
    [0, healthy],
    [1, failed('host_unreachable')],
    [2, failed('host_not_found')],
    [77, failed('not_supported')],
  ])('ping ends with %d', async ([code, expected]) => {
    const check = icmp({ host: '192.0.2.1', program: await ping(code), timeoutSeconds: 20 })
    expect(await ask(check)).toEqual(expected)
  })

  test('one that hangs is killed; one that is missing is not supported', async () => {
    const slow = icmp({ host: '192.0.2.1', program: await ping(0, true), timeoutSeconds: 0.3 })
    expect(await ask(slow)).toEqual(failed('timeout'))
    const none = icmp({ host: '192.0.2.1', program: 'no-such-ping' })
    expect(await ask(none)).toEqual(failed('not_supported'))
  })

  test.for(['-f', '--help', 'a b', '$(reboot)', '', 'x'.repeat(300)])(
    'host %j is refused',
    (host) => {
      expect(() => icmp({ host })).toThrow('icmp.host')
    },
  )
})

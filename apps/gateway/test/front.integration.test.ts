// Usual calls go round the router, unusual ones through it: a caller cannot tell which way was taken, and no way forgets a check.
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RUNNER, startGateway, type RunningGateway } from './running-gateway.ts'

const KEY = 'front-key'
let open: RunningGateway
let keyed: RunningGateway
const app = {
  command: ['node', RUNNER],
  startupTimeoutSeconds: 20,
  minConcurrency: 1,
  maxConcurrency: 1,
}
beforeAll(async () => {
  const raw = { limits: { bodyBytes: 1000 }, apps: { 'test/echo': app } }
  open = await startGateway(raw)
  keyed = await startGateway({ ...raw, auth: { keys: [KEY], readKeys: [], adminKeys: [] } })
})
afterAll(async () => {
  await open.close()
  await keyed.close()
})

/** Sends bytes as they are and answers the first answer's status, error type and body. */
async function say(gateway: RunningGateway, head: string, body = ''): Promise<string> {
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1')
  socket.setEncoding('latin1').write(`${head.replaceAll('\n', '\r\n')}\r\n\r\n${body}`)
  let text = ''
  socket.on('data', (piece: string) => {
    text = (text + piece).replace('HTTP/1.1 100 Continue\r\n\r\n', '')
    const end = text.indexOf('\r\n\r\n')
    const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text)?.[1]
    if (end !== -1 && (length === undefined || text.length >= end + 4 + Number(length)))
      socket.end()
  })
  socket.on('error', () => socket.destroy())
  await once(socket, 'close')
  return text
}
const status = (answer: string): number => Number(answer.split(' ', 2)[1])
const errorType = (answer: string): string | undefined =>
  /\r\nx-fal-error-type: (\w+)\r\n/i.exec(answer)?.[1]
const json = (answer: string): Record<string, unknown> =>
  JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1)) as never

test.for([
  ['a usual call', 'GET /run/test/echo/a?b=%zz HTTP/1.1\nhost: x', '/a?b=%zz'],
  ['an escaped path', 'GET /run/test/echo/a%20b HTTP/1.1\nhost: x', '/a%20b'],
  ['an escaped slash', 'GET /run/test/echo/a%2Fb HTTP/1.1\nhost: x', '/a%2Fb'],
  ['a fragment', 'GET /run/test/echo/a#b HTTP/1.1\nhost: x', '/a#b'],
  ["the platform's host", 'GET /test/echo/a HTTP/1.1\nhost: FAL.run:80', '/a'],
  ['a limit to the wait', 'GET /run/test/echo/a HTTP/1.1\nhost: x\nx-fal-request-timeout: 5', '/a'],
  ['a query without a type', 'QUERY /run/test/echo/a HTTP/1.1\nhost: x', '/a'],
  ['a rare method', 'OPTIONS /run/test/echo/a HTTP/1.1\nhost: x', '/a'],
  [
    'a type without a body',
    'POST /run/test/echo/a HTTP/1.1\nhost: x\ncontent-type: application/json',
    '/a',
  ],
] as const)('%s reaches the runner as it was sent', async ([, head, path]) => {
  const answer = await say(open, head)
  expect(status(answer)).toBe(200)
  expect(answer).toMatch(/\r\nx-fal-request-id: [\w-]{36}\r\n/i)
  expect(json(answer)).toMatchObject({ path, body: '' })
})

const many = Array.from({ length: 257 }, (_, i) => `x-${i}: 1`).join('\n')
describe.for([
  ['no such app', 'GET /run/test/none HTTP/1.1\nhost: x', 404, 'app_not_found'],
  ['no app', 'GET /run/test HTTP/1.1\nhost: x', 404, 'app_not_found'],
  ['a bad escape', 'GET /run/test/echo/%zz HTTP/1.1\nhost: x', 400, 'bad_request'],
  [
    'a bad limit',
    'GET /run/test/echo HTTP/1.1\nhost: x\nx-fal-request-timeout: soon',
    400,
    'bad_request',
  ],
  ['an untyped query', 'QUERY /run/test/echo/a%20b HTTP/1.1\nhost: x', 400, 'bad_request'],
  [
    'no media type',
    'POST /run/test/echo HTTP/1.1\nhost: x\ncontent-type: json\ncontent-length: 0',
    415,
    'unsupported_media_type',
  ],
  [
    'a long body',
    'POST /run/test/echo HTTP/1.1\nhost: x\ncontent-length: 1001',
    413,
    'body_too_large',
  ],
  ['many headers', `GET /run/test/echo HTTP/1.1\nhost: x\n${many}`, 431, 'headers_too_large'],
] as const)('%s', ([, head, expected, type]) => {
  test('is refused by name', async () => {
    const answer = await say(open, head)
    expect(status(answer)).toBe(expected)
    expect(errorType(answer)).toBe(type)
  })
})

test.for(['run', 'queue'])('what is no media type is not told to be JSON: %s', async (door) => {
  const head = `POST /${door}/test/echo HTTP/1.1\nhost: x\ncontent-type: json\ncontent-length: 1`
  const answer = await say(open, head, 'x')
  expect(status(answer)).toBe(415)
  expect(json(answer)).toMatchObject({
    detail: 'Content-Type must be a media type, such as application/json.',
  })
})

test('a key is asked for, goes no further, and a wrong one gets 401', async () => {
  const head = 'GET /run/test/echo HTTP/1.1\nhost: x'
  expect(status(await say(keyed, head))).toBe(401)
  expect(status(await say(keyed, `${head}\nauthorization: Key other`))).toBe(401)
  const answer = await say(keyed, `${head}\nauthorization: Key ${KEY}`)
  expect(status(answer)).toBe(200)
  expect(answer).not.toContain(KEY)
})

test('a page may read the answer, and its preflight is answered', async () => {
  const head = '/run/test/echo HTTP/1.1\nhost: x\norigin: http://page.example'
  const answer = await say(open, `GET ${head}`)
  expect(answer).toMatch(/\r\naccess-control-allow-origin: \*\r\n/i)
  const preflight = await say(open, `OPTIONS ${head}\naccess-control-request-method: POST`)
  expect(status(preflight)).toBe(204)
})

test('a submit with a type and no body is no input', async () => {
  const answer = await say(
    open,
    'POST /queue/test/echo HTTP/1.1\nhost: x\ncontent-type: application/json',
  )
  expect(status(answer)).toBe(200)
  expect(json(answer)).toMatchObject({ status: 'IN_QUEUE' })
})

const LONG = ' '.repeat(1001)
const submitted = 'POST /queue/test/echo HTTP/1.1\nhost: x\ncontent-type: application/json'
describe('a submit', () => {
  test.for([
    ['a usual one', `${submitted}\ncontent-length: 2`, '{}'],
    ['in pieces', `${submitted}\ntransfer-encoding: chunked`, '1\r\n{\r\n1\r\n}\r\n0\r\n\r\n'],
    ['with a query', `${submitted.replace('echo', 'echo?a=b')}\ncontent-length: 2`, '{}'],
    ['to an escaped path', `${submitted.replace('echo', 'echo/a%20b')}\ncontent-length: 2`, '{}'],
    ['that asks to go on', `${submitted}\ncontent-length: 2\nexpect: 100-continue`, '{}'],
    ['without a body', `${submitted}\ncontent-length: 0`, ''],
  ] as const)('%s is answered in the same words', async ([, head, body]) => {
    const answer = await say(open, head, body)
    expect(status(answer)).toBe(200)
    expect(answer).toMatch(/\r\ncontent-type: application\/json; charset=utf-8\r\n/i)
    const said = json(answer)
    const id = String(said['request_id'])
    expect(answer.toLowerCase()).toContain(`\r\nx-fal-request-id: ${id}\r\n`)
    expect(said).toEqual({
      status: 'IN_QUEUE',
      request_id: id,
      gateway_request_id: id,
      response_url: `http://x/queue/test/echo/requests/${id}`,
      status_url: `http://x/queue/test/echo/requests/${id}/status`,
      cancel_url: `http://x/queue/test/echo/requests/${id}/cancel`,
      queue_position: expect.any(Number) as number,
    })
  })

  test.for([
    ['no JSON', `${submitted}\ncontent-length: 2`, '{x', 400, 'bad_request'],
    [
      'a wrong limit',
      `${submitted}\ncontent-length: 2\nx-fal-request-timeout: 0`,
      '{}',
      400,
      'bad_request',
    ],
    ['a long body', `${submitted}\ncontent-length: 1001`, LONG, 413, 'body_too_large'],
    [
      'no such app',
      `${submitted.replace('echo', 'none')}\ncontent-length: 2`,
      '{}',
      404,
      'app_not_found',
    ],
  ] as const)('with %s is refused by name', async ([, head, body, expected, type]) => {
    const answer = await say(open, head, body)
    expect([status(answer), errorType(answer)]).toEqual([expected, type])
    expect(answer).toMatch(/\r\nx-fal-request-id: [\w-]{36}\r\n/i)
    expect(json(answer)).toMatchObject({ error_type: type, detail: expect.any(String) as string })
  })

  test('needs a key where there are keys, and keeps it to itself', async () => {
    const head = `${submitted}\ncontent-length: 2`
    expect(status(await say(keyed, head, '{}'))).toBe(401)
    const answer = await say(keyed, `${head}\nauthorization: Key ${KEY}`, '{}')
    expect(status(answer)).toBe(200)
    expect(answer).not.toContain(KEY)
  })

  test('may be read by the page that sent it', async () => {
    const answer = await say(
      open,
      `${submitted}\ncontent-length: 2\norigin: http://p.example`,
      '{}',
    )
    expect(answer).toMatch(/\r\naccess-control-allow-origin: \*\r\n/i)
  })

  test('that is cut off within its body leaves nothing behind', async () => {
    const before = open.queue.size('test/echo', 0).all
    const socket = connect(Number(new URL(open.url).port), '127.0.0.1')
    socket.end(`${submitted.replaceAll('\n', '\r\n')}\r\ncontent-length: 9\r\n\r\n{"a"`)
    socket.resume()
    await once(socket, 'close')
    expect(status(await say(open, 'GET /live HTTP/1.1\nhost: x'))).toBe(200)
    expect(open.queue.size('test/echo', 0).all).toBeLessThanOrEqual(before)
  })
})

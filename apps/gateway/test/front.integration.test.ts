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
    text += piece
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

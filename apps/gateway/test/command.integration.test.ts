// The commands that talk to a gateway: what they ask, what they print, how they end.
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { commands } from '../src/command/cli.ts'
import { uptime } from '../src/command/runners.ts'
import { json, run, serve } from './terminal.ts'

const folder = mkdtempSync(join(tmpdir(), 'health-command-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const runner = (id: string, more: object = {}) => ({
  id,
  app: 'demo/echo',
  incarnation: 1,
  state: 'ready',
  substate: 'idle',
  falState: 'IDLE',
  suspect: false,
  accepting: true,
  reason: null,
  since: '2026-01-01T00:00:00.000Z',
  inFlight: 0,
  node: 'here',
  startedAt: '2026-01-01T00:00:00.000Z',
  ...more,
})

/** A gateway that answers from a table of `METHOD path`, and remembers what it was asked. */
async function gateway(table: Readonly<Record<string, unknown>>) {
  const asked: {
    readonly what: string
    readonly key: string | undefined
    readonly body: string
  }[] = []
  const server = await serve((request, response, body) => {
    const what = `${request.method} ${request.url}`
    asked.push({ what, key: request.headers.authorization, body })
    if (Object.hasOwn(table, what))
      json(response, request.method === 'POST' ? 202 : 200, table[what])
    else
      json(response, 404, {
        detail: 'There is no such thing.',
        error_type: 'runner_not_found',
        message: 'There is no such thing.',
      })
  })
  return {
    asked,
    env: { HEALTH_URL: server.url, HEALTH_KEY: 'secret-key' },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** What following a log prints: after each ending, what is done then, until it is enough. */
async function followed(
  id: string,
  steps: Readonly<Record<string, (() => void) | 'enough'>>,
): Promise<string> {
  const end = new AbortController()
  let seen = ''
  const { code } = await run(['runners', 'logs', id, '-f', '--data-dir', '.'], {
    caller: folder,
    cwd: folder,
    ended: end.signal,
    out: (text) => {
      seen += text
      // The end of a decoder says nothing, and nothing is done twice for it.
      if (text === '') return
      const [, step] = Object.entries(steps).find(([ending]) => seen.endsWith(ending)) ?? []
      if (step === 'enough') end.abort()
      else step?.()
    },
  })
  expect(code).toBe(0)
  return seen
}

describe('runners', () => {
  test("the list has the platform's columns and its summary, over all pages", async () => {
    await using fake = await gateway({
      'GET /v1/runners': {
        runners: [
          runner('r1'),
          runner('r2', { state: 'starting', falState: 'SETUP' }),
          runner('r3', { suspect: true, inFlight: 2, falState: 'RUNNING' }),
        ],
        next: 'c d',
      },
      'GET /v1/runners?cursor=c%20d': {
        runners: [
          runner('r4', { state: 'terminated', falState: 'TERMINATED', reason: 'crashed' }),
          runner('r5', { state: 'starting', falState: 'CRASH_BACKOFF' }),
        ],
        next: null,
      },
    })
    const ran = await run(['runners'], fake)
    const lines = ran.out.split('\n')
    expect(lines.slice(0, 3)).toEqual([
      'Runners: 3',
      'Runners Setting Up: 1',
      'Runners being delayed after startup failure: 1',
    ])
    expect(lines[3]!.split(/ {2,}/)).toEqual([
      'Alias',
      'Machine Type',
      'Runner ID',
      'In Flight Requests',
      'Expires In',
      'Uptime',
      'Revision',
      'State',
    ])
    expect(lines[6]).toMatch(
      /^demo\/echo +here +r3 +2 +N\/A +\d+:\d\d:\d\d \(\d+s\) +1 +RUNNING \(suspect\)$/,
    )
    expect(ran.out).not.toContain('r4')
    expect(fake.asked[0]!.key).toBe('Key secret-key')
    const all = JSON.parse((await run(['runners', 'list', '--json'], fake)).out) as {
      runners: unknown[]
      next: null
    }
    expect(all.runners).toHaveLength(5)
    expect(all.next).toBeNull()
  })

  test("a filter is the gateway's, and shows what was asked for", async () => {
    await using fake = await gateway({
      'GET /v1/runners?app=demo%2Fecho&state=terminated': {
        runners: [runner('r4', { state: 'terminated', falState: 'TERMINATED', reason: 'crashed' })],
        next: null,
      },
    })
    const ran = await run(['runners', '--app', 'demo/echo', '--state', 'terminated'], fake)
    expect(ran.out).toContain('TERMINATED (crashed)')
    expect(ran.code).toBe(0)
  })

  test.for([
    [['stop', 'r1'], 'POST /v1/runners/r1/stop', '{}'],
    [['stop', 'r1', '--replace'], 'POST /v1/runners/r1/stop', '{"replace":true}'],
    [['kill', 'a/b'], 'POST /v1/runners/a%2Fb/kill', '{}'],
  ] as const)('%j is an order', async ([args, what, body]) => {
    await using fake = await gateway({ [what]: runner('r1', { substate: 'busy+draining' }) })
    const ran = await run(['runners', ...args], fake)
    expect(ran).toMatchObject({ code: 0, err: '' })
    expect(fake.asked).toEqual([{ what, key: 'Key secret-key', body }])
    expect(ran.out).toBe(
      `${args[0] === 'stop' ? 'stopping' : 'killing'} r1, which is busy+draining\n`,
    )
  })

  test('what is being done already is said once', async () => {
    await using fake = await gateway({
      'POST /v1/runners/r1/kill': runner('r1', { substate: 'killing' }),
    })
    expect((await run(['runners', 'kill', 'r1'], fake)).out).toBe('killing r1\n')
  })

  test('a runner that is not there is exit 5', async () => {
    await using fake = await gateway({})
    expect(await run(['runners', 'show', 'r9'], fake)).toEqual({
      code: 5,
      out: '',
      err: 'There is no such thing.\n',
    })
  })

  test.for([
    ['2026-01-01T00:00:00.000Z', 3_723_000, '1:02:03 (3723s)'],
    [null, 0, 'N/A'],
    ['2026-01-01T00:00:10.000Z', 0, '0:00:00 (0s)'],
  ] as const)('the uptime since %s', ([from, after, expected]) => {
    expect(uptime(from, Date.parse('2026-01-01T00:00:00.000Z') + after)).toBe(expected)
  })

  test('logs are the rotated part and the current one', async () => {
    mkdirSync(join(folder, 'logs'), { recursive: true })
    writeFileSync(join(folder, 'logs', 'r1.log.1'), 'old\n')
    writeFileSync(join(folder, 'logs', 'r1.log'), 'new\n')
    const place = { caller: folder, cwd: folder }
    expect(await run(['runners', 'logs', 'r1', '--data-dir', '.'], place)).toEqual({
      code: 0,
      out: 'old\nnew\n',
      err: '',
    })
    expect((await run(['runners', 'logs', '../r1', '--data-dir', 'logs'], place)).code).toBe(5)
    expect((await run(['runners', 'logs', 'r2', '--data-dir', '.'], place)).code).toBe(5)
  })

  test('-f goes on with what comes, and starts again when the file was cut', async () => {
    const file = join(folder, 'logs', 'r3.log')
    mkdirSync(join(folder, 'logs'), { recursive: true })
    writeFileSync(file, 'first line\n')
    const seen = await followed('r3', {
      'first line\n': () => writeFileSync(file, 'cut\n'),
      'cut\n': 'enough',
    })
    expect(seen).toBe('first line\ncut\n')
  })

  test('-f prints what moved aside between two looks, and nothing of it twice', async () => {
    const file = join(folder, 'logs', 'r4.log')
    mkdirSync(join(folder, 'logs'), { recursive: true })
    writeFileSync(`${file}.1`, 'long ago\n')
    const one = `${'1'.repeat(99)}\n`
    writeFileSync(file, `${one}two\nthree\n`)
    const seen = await followed('r4', {
      'three\n': () =>
        // As the host does it: the last bytes move aside, and the file begins with the count of those before.
        setImmediate(() => {
          writeFileSync(`${file}.1`, 'two\nthree\nfour\n')
          writeFileSync(file, '[health] 100 bytes of output dropped: more than the log may hold\n')
          writeFileSync(file, 'five\n', { flag: 'a' })
        }),
      'five\n': 'enough',
    })
    expect(seen).toBe(
      `long ago\n${one}two\nthree\nfour\n[health] 100 bytes of output dropped: more than the log may hold\nfive\n`,
    )
  })
})

test('-f knows a file that was cut and grew past where it was, and keeps a letter whole that came in two parts', async () => {
  const file = join(folder, 'logs', 'r5.log')
  mkdirSync(join(folder, 'logs'), { recursive: true })
  writeFileSync(file, 'first\n')
  const seen = await followed('r5', {
    // Between two looks, as a rotation is: there is no event for that.
    'first\n': () => setTimeout(() => writeFileSync(file, 'longer than it was\n'), 100),
    'it was\n': () => appendFileSync(file, Buffer.from([0x21, 0xc3])),
    '!': () => setTimeout(() => appendFileSync(file, Buffer.from([0xa9, 0x0a])), 400),
    'é\n': 'enough',
    // One that is broken by us.
    '\ufffd\n': 'enough',
  })
  expect(seen).toBe('first\nlonger than it was\n!é\n')
})

describe('nodes, queue, requests', () => {
  test('nodes are listed and given orders', async () => {
    await using fake = await gateway({
      'GET /v1/nodes': {
        nodes: [
          {
            id: 'n1',
            state: 'cordoned',
            cordonedBy: 'temp.critical',
            since: 'then',
            runners: ['r1'],
            devices: [{}, {}],
          },
        ],
        next: null,
      },
      'POST /v1/nodes/n1/uncordon': { id: 'n1', state: 'validating' },
    })
    const listed = (await run(['nodes'], fake)).out.split('\n')
    expect(listed[1]!.split(/ {2,}/)).toEqual(['n1', 'cordoned', 'then', 'temp.critical', '1', '2'])
    expect((await run(['nodes', 'uncordon', 'n1'], fake)).out).toBe('n1 is validating\n')
  })

  test('a queue has a size and can be flushed', async () => {
    await using fake = await gateway({
      'GET /v1/queues/demo/echo': { size: 3, oldestSeconds: 7 },
      'DELETE /v1/queues/demo/echo': { flushed: 3 },
    })
    expect((await run(['queue', 'size', 'demo/echo'], fake)).out).toBe(
      'Total queue size: 3, the oldest waits 7 s\n',
    )
    expect(JSON.parse((await run(['queue', 'size', 'demo/echo', '--json'], fake)).out)).toEqual({
      size: 3,
      oldestSeconds: 7,
    })
    expect((await run(['queue', 'flush', 'demo/echo'], fake)).out).toBe('Queue flushed: 3\n')
  })

  test('a request is shown with its attempts', async () => {
    await using fake = await gateway({
      'GET /v1/requests/q1': {
        id: 'q1',
        app: 'demo/echo',
        mode: 'queue',
        status: 'COMPLETED',
        submittedAt: 'then',
        position: null,
        attempts: [
          {
            n: 1,
            runner: 'r1',
            startedAt: 'a',
            endedAt: 'b',
            outcome: 'server_error',
            status: 503,
            rule: 'outcome.server_error',
            condition: 'server_error',
          },
        ],
        final: { status: 200, error_type: null, at: 'now' },
      },
    })
    const lines = (await run(['requests', 'show', 'q1'], fake)).out.split('\n')
    expect(lines[0]).toBe('q1  demo/echo  queue  COMPLETED  since then')
    expect(lines[2]!.split(/ {2,}/)).toEqual([
      '1',
      'r1',
      'a',
      'b',
      'server_error',
      '503',
      'outcome.server_error',
      'server_error',
    ])
    expect(lines[3]).toBe('final: 200 at now')
  })
})

describe('explain', () => {
  const decision = {
    seq: 4,
    from: 'failing',
    to: 'stopping',
    rule: 'health.threshold',
    enforced: true,
    because: null,
    compared: [{ name: 'failures', value: 3, op: '>=', threshold: 3, option: 'failureThreshold' }],
  }
  test('asks for a runner, then a request, and prints the chain', async () => {
    await using fake = await gateway({
      'GET /v1/requests/q1/explain': {
        kind: 'request',
        id: 'q1',
        decision,
        chain: [{ seq: 1, at: 'then', type: 'probe.failed', text: 'status 500' }],
        counterfactual: { option: 'failureThreshold', actual: 3, needed: 4 },
      },
    })
    const ran = await run(['explain', 'q1'], fake)
    expect(fake.asked.map(({ what }) => what)).toEqual([
      'GET /v1/runners/q1/explain',
      'GET /v1/requests/q1/explain',
    ])
    expect(ran.out).toBe(
      'request q1: failing → stopping by health.threshold\n  then  status 500\nwith failureThreshold 4 in place of 3 it would have gone otherwise (a replay\n  proves it)\nrunbook: docs/guides/runbook/health_check_failed.md\n',
    )
    expect((await run(['explain', 'q9'], fake)).code).toBe(5)
  })

  test('a long story stays on one screen, a withheld verdict says by whom, a fact that nothing would have changed it', async () => {
    const at = '2026-01-02T03:04:05.000Z'
    const link = (n: number) => ({ seq: n, at, type: 'probe.failed', text: `strike ${n}` })
    await using fake = await gateway({
      'GET /v1/runners/r1/explain': {
        kind: 'runner',
        id: 'r1',
        decision: { ...decision, at, to: 'held', enforced: false, because: 'guard.cap' },
        chain: Array.from({ length: 40 }, (_, n) => link(n)),
        counterfactual: null,
      },
      'GET /v1/runners/r2/explain': {
        kind: 'runner',
        id: 'r2',
        decision: { ...decision, at, rule: 'outcome.crashed', to: 'gone' },
        chain: [link(1), { ...link(2), text: 'no policy number would have changed this: a fact' }],
        counterfactual: null,
      },
    })
    const held = (await run(['explain', 'r1'], fake)).out.split('\n')
    expect(held.length).toBe(24)
    expect(Math.max(...held.map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(held.slice(0, 4)).toEqual([
      `runner r1: failing → held by health.threshold at ${at}`,
      'not enforced, because of guard.cap',
      '  … 23 earlier',
      '  03:04:05.000  strike 23',
    ])
    expect(held.slice(-4)).toEqual([
      'no number of the policy could be proved to have changed it: a proof needs the',
      '  journal from its beginning',
      'runbook: docs/guides/runbook/guard.panic.md',
      '',
    ])
    expect((await run(['explain', 'r2'], fake)).out).toBe(
      `runner r2: failing → gone by outcome.crashed at ${at}\n  03:04:05.000  strike 1\nno policy number would have changed this: a fact\nrunbook: docs/guides/runbook/crashed.md\n`,
    )
  })
})

describe('a gateway that is not there, or says no', () => {
  test('nobody listens: exit 2, one line', async () => {
    const closed = await serve(() => undefined)
    await closed[Symbol.asyncDispose]()
    const ran = await run(['runners'], {
      env: { HEALTH_URL: closed.url, HEALTH_KEY: 'secret-key' },
    })
    expect(ran.code).toBe(2)
    expect(ran.err).toMatch(
      /^HEALTH_CONNECT: The gateway at \S+ cannot be reached: connection refused\. [^\n]+\n$/,
    )
  })

  test.for([
    [
      401,
      { message: 'No valid key.' },
      1,
      'HEALTH_ANSWER: The gateway refused the key (401): No valid key. Set HEALTH_KEY to one that may do this.\n',
    ],
    [
      403,
      { message: 'This needs an admin key.' },
      1,
      'HEALTH_ANSWER: The gateway refused the key (403): This needs an admin key. Set HEALTH_KEY to one that may do this.\n',
    ],
    [
      409,
      { detail: 'The runner is terminated.' },
      1,
      'HEALTH_ANSWER: The gateway answered 409: The runner is terminated.',
    ],
    [200, 'not an object', 2, 'something else than a gateway'],
  ] as const)('%i', async ([status, body, code, text]) => {
    await using server = await serve((_request, response) => json(response, status, body))
    const ran = await run(['runners', 'kill', 'r1'], {
      env: { HEALTH_URL: server.url, HEALTH_KEY: 'secret-key' },
    })
    expect(ran.code).toBe(code)
    expect(ran.err).toContain(text)
    expect(ran.err).not.toContain('secret-key')
  })

  test('what a gateway says moves no cursor', async () => {
    await using server = await serve((_request, response) =>
      json(response, 500, { message: '\u001b[2Jgone' }),
    )
    const ran = await run(['runners'], { env: { HEALTH_URL: server.url } })
    expect(ran.err).toBe('HEALTH_ANSWER: The gateway answered 500: \ufffd[2Jgone.\n')
  })

  test.for(['secret\r', 'secret\nkey', 'schlüssel-secret', 'secret key'])(
    'a HEALTH_KEY that is none is one line, and is not shown: %j',
    async (key) => {
      const env = { HEALTH_URL: 'http://127.0.0.1:1', HEALTH_KEY: key }
      for (const command of [['runners'], ['check', 'http://127.0.0.1:1/health']]) {
        const ran = await run(command, { env })
        expect(ran.code).toBe(1)
        expect(ran.err).toMatch(/^HEALTH_USAGE: HEALTH_KEY is not a key [^\n]+\n$/)
        expect(ran.out + ran.err).not.toContain('secret')
      }
    },
  )

  test('where no key was sent, none is called wrong', async () => {
    await using server = await serve((_request, response) =>
      json(response, 401, { message: 'invalid key credentials' }),
    )
    expect(await run(['runners'], { env: { HEALTH_URL: server.url } })).toEqual({
      code: 1,
      out: '',
      err: 'HEALTH_ANSWER: The gateway asks for a key (401), and none was sent. Set HEALTH_KEY.\n',
    })
  })
})

describe('the command line', () => {
  test('help lists every command, and every command has help', async () => {
    const all = await run(['--help'])
    expect(all.code).toBe(0)
    expect(all.out).toContain('health --version\n')
    for (const name of Object.keys(commands)) {
      expect(all.out).toContain(`\n  ${name} `)
      const one = await run([name, '--help'])
      expect(one).toMatchObject({ code: 0, err: '' })
      expect(one.out.toLowerCase()).toContain(`usage: health ${name}`)
    }
  })

  test.for([
    [[], 1, ''],
    [['runers'], 1, 'the nearest is runners'],
    [['replay', 'x'], 5, 'There is no journal at /x'],
    [['runners', 'shoot', 'r1'], 1, 'has no shoot'],
    [['runners', 'show'], 1, 'ID is missing'],
    [['runners', 'list', 'r1'], 1, '"r1" is one argument too many'],
    [['runners', 'list', '-f'], 1, '--follow does not go with list'],
    [['runners', 'kill', 'r1', '--replace'], 1, '--replace does not go with kill'],
    [['runners', 'logs', 'r1', '--json'], 1, '--json does not go with logs'],
    [['nodes', 'list', 'n1'], 1, '"n1" is one argument too many'],
    [['queue', 'size', 'echo'], 1, 'is not an app'],
    [['nodes', 'explode', 'n'], 1, 'has no explode'],
    [['explain'], 1, 'ID is missing'],
    [['validate'], 1, 'FILE is missing'],
  ] as const)('%j ends with %i', async ([args, code, text]) => {
    const ran = await run(args)
    expect(ran.code).toBe(code)
    expect(ran.err).toContain(text)
    expect(ran.err.split('\n').length).toBeLessThanOrEqual(2)
  })

  test('validate prints warnings, and the one mistake', async () => {
    writeFileSync(join(folder, 'good.yaml'), 'apps: { a/b: { command: [x] } }')
    writeFileSync(join(folder, 'bad.yaml'), 'apps: { a/b: { comand: [x] } }')
    const good = await run(['validate', 'good.yaml'], { caller: folder })
    expect(good.out).toMatch(
      /^warning {2}apps\.a\/b\.healthCheck: none[^\n]+\nvalid {2}\S+: 1 app, 1 warning\n$/,
    )
    expect(good.code).toBe(0)
    const bad = await run(['validate', 'bad.yaml'], { caller: folder })
    expect(bad).toMatchObject({
      code: 1,
      err: 'HEALTH_POLICY_UNKNOWN: apps.a/b.comand is not an option; the nearest is command.\n',
    })
    const asJson = JSON.parse(
      (await run(['validate', 'bad.yaml', '--json'], { caller: folder })).out,
    ) as object
    expect(asJson).toMatchObject({
      valid: false,
      error: { code: 'HEALTH_POLICY_UNKNOWN', path: 'apps.a/b.comand' },
    })
  })
})

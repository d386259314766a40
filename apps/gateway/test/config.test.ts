// What a configuration becomes, and the one line that each mistake in it gets.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { HealthError } from '@health/core'
import { afterAll, describe, expect, test } from 'vitest'
import { loadConfig, resolveConfig, type ConfigFlags, type ConfigPlace } from '../src/config.ts'
import { demoConfig } from '../src/config-demo.ts'

const folder = mkdtempSync(join(tmpdir(), 'health-config-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const place = (more: Partial<ConfigPlace> = {}): ConfigPlace => ({
  env: {},
  cwd: folder,
  caller: folder,
  ...more,
})
const app = { command: ['node', 'server.mjs'], healthCheck: { path: '/health' } }
const resolved = (raw: unknown, flags: ConfigFlags = {}, env: Record<string, string> = {}) =>
  resolveConfig(raw, join(folder, 'health.config.yaml'), flags, place({ env }))
const write = (name: string, text: string): string => {
  const file = join(folder, name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}
function mistake(run: () => unknown): HealthError {
  try {
    run()
  } catch (error) {
    if (error instanceof HealthError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('what a complete configuration holds', () => {
  test('without a file it is the demo, with the documented numbers', async () => {
    const config = await loadConfig({}, place())
    expect(config.file).toBeNull()
    expect(config.listen).toEqual({ host: '127.0.0.1', port: 8080 })
    expect(config.dataDir).toBe(join(folder, '.health'))
    expect([...config.apps.keys()]).toEqual(['demo/echo'])
    expect(config.apps.get('demo/echo')?.options).toEqual({
      healthCheck: {
        path: '/health',
        startPeriodSeconds: 5,
        intervalSeconds: 2,
        timeoutSeconds: 1,
      },
      startupTimeoutSeconds: 5,
      requestTimeoutSeconds: 10,
      minConcurrency: 1,
      maxConcurrency: 3,
    })
    expect(config.warnings).toEqual([])
  })

  test('defaults are those of the specification, and off for the options it does not name', () => {
    const { listen, queue, limits, webhooks, logs, journal, alerts, shutdown, gpu } = resolved({
      apps: { 'a/b': app },
    })
    expect({ listen, queue, limits, webhooks, logs, journal, alerts, shutdown, gpu }).toEqual({
      listen: { host: '127.0.0.1', port: 8080 },
      queue: { backend: 'sqlite' },
      limits: {
        bodyBytes: 10_485_760,
        queueLength: 1_000_000,
        directWaiting: 1000,
        connections: 10_000,
      },
      webhooks: { allowPrivateAddresses: false, timeoutSeconds: 15, retries: 10 },
      logs: { level: 'info', format: 'json', runnerBytes: 10_485_760 },
      journal: { segmentBytes: 67_108_864, maxBytes: 1_073_741_824, maxAgeSeconds: 604_800 },
      alerts: { log: true, webhook: [], repeatSeconds: 600 },
      shutdown: { delaySeconds: 0, graceSeconds: 30, keepRunners: false },
      gpu: {
        source: 'auto',
        intervalSeconds: 10,
        resetCommand: null,
        rebootCommand: null,
        validateCommand: null,
        xid: null,
        dcgmUrl: null,
        dcgmDiagLevel: 0,
        dcgmDiagCommand: null,
        replayFile: null,
        replaySpeed: 1,
      },
    })
  })

  test('a flag wins over the environment, the environment over the file, the file over the default', () => {
    const raw = { listen: { port: 1 }, apps: { 'a/b': app } }
    expect(resolved({ apps: {} }).listen.port).toBe(8080)
    expect(resolved(raw).listen.port).toBe(1)
    expect(resolved(raw, {}, { PORT: '2' }).listen.port).toBe(2)
    expect(resolved(raw, { port: '3' }, { PORT: '2' }).listen.port).toBe(3)
    expect(resolved(raw, { host: 'localhost' }, { HOST: '127.0.0.2' }).listen.host).toBe(
      'localhost',
    )
    expect(resolved({ shutdown: { keepRunners: true } }).shutdown.keepRunners).toBe(true)
    expect(resolved({}, { keepRunners: true }).shutdown.keepRunners).toBe(true)
  })

  test('relative paths start at the file, those of the command line at the caller', () => {
    const raw = {
      dataDir: 'data',
      apps: {
        'a/b': { ...app, command: ['./bin/server', './x'], cwd: 'work' },
        'a/c': app,
      },
    }
    const config = resolveConfig(
      raw,
      '/etc/health/h.yaml',
      {},
      place({ cwd: '/else', caller: '/caller' }),
    )
    expect(config.dataDir).toBe('/etc/health/data')
    expect(config.apps.get('a/b')?.launch).toEqual({
      command: ['/etc/health/bin/server', './x'],
      cwd: '/etc/health/work',
      env: {},
    })
    expect(config.apps.get('a/c')?.launch?.command).toEqual(['node', 'server.mjs'])
    const flagged = resolveConfig(
      raw,
      '/etc/health/h.yaml',
      { dataDir: 'mine' },
      place({ caller: '/caller' }),
    )
    expect(flagged.dataDir).toBe('/caller/mine')
    expect(resolveConfig(demoConfig, null, {}, place({ cwd: '/else' })).dataDir).toBe(
      '/else/.health',
    )
  })

  test('the policy of an app wins over the global one', () => {
    const config = resolved({
      policy: { maxAttempts: 5, capPercent: 10 },
      apps: { 'a/b': { ...app, policy: { maxAttempts: 2 } } },
    })
    expect(config.apps.get('a/b')?.policy).toEqual({ maxAttempts: 2, capPercent: 10 })
    expect(config.policy).toEqual({ maxAttempts: 5, capPercent: 10 })
  })

  test('the revision follows command, environment, folder and urls, and nothing else', () => {
    const revision = (more: object): string =>
      resolved({ apps: { 'a/b': { ...app, ...more } } }).apps.get('a/b')!.revision
    const first = revision({})
    expect(revision({ maxConcurrency: 9, policy: { maxAttempts: 3 } })).toBe(first)
    expect(revision({ env: { A: '1', B: '2' } })).toBe(revision({ env: { B: '2', A: '1' } }))
    const others = [
      revision({ command: ['node'] }),
      revision({ env: { A: '1' } }),
      revision({ cwd: 'x' }),
    ]
    expect(new Set([first, ...others]).size).toBe(4)
  })

  test('adopted servers have addresses and no launch', () => {
    const config = resolved({ apps: { 'a/b': { urls: ['http://127.0.0.1:9001/'] } } })
    expect(config.apps.get('a/b')).toMatchObject({ launch: null, urls: ['http://127.0.0.1:9001'] })
    expect(config.warnings).toEqual([expect.stringContaining('apps.a/b.healthCheck: none')])
  })
})

describe('the environment', () => {
  test('an empty key in the environment is none', () => {
    const { auth } = resolved({}, {}, { HEALTH_KEY: '', HEALTH_ADMIN_KEY: 'boss' })
    expect([auth.keys, auth.adminKeys]).toEqual([[], ['boss']])
  })

  test('env:NAME is replaced; what is not set is absent, with a warning', () => {
    const config = resolved(
      {
        auth: { keys: ['env:ONE', 'env:NONE', 'env:TWO'], adminKeys: [] },
        limits: { directWaiting: 'env:WAITING' },
        apps: {
          'a/b': {
            ...app,
            env: { TOKEN: 'env:TOKEN', GONE: 'env:NONE' },
            maxConcurrency: 'env:MAX',
          },
        },
      },
      {},
      { ONE: 'k1', TWO: 'k2', WAITING: '7', TOKEN: 't', MAX: '4' },
    )
    expect(config.auth.keys).toEqual(['k1', 'k2'])
    expect(config.limits.directWaiting).toBe(7)
    expect(config.apps.get('a/b')?.launch?.env).toEqual({ TOKEN: 't' })
    expect(config.apps.get('a/b')?.options.maxConcurrency).toBe(4)
    expect(config.warnings).toEqual([
      'auth.keys[1]: the variable NONE is not set; the entry is absent.',
      'apps.a/b.env.GONE: the variable NONE is not set; the entry is absent.',
    ])
  })

  test('keys come from HEALTH_KEY and HEALTH_ADMIN_KEY unless the file names others', () => {
    const env = { HEALTH_KEY: 'caller', HEALTH_ADMIN_KEY: 'admin' }
    expect(resolved({}, {}, env).auth).toEqual({
      keys: ['caller'],
      readKeys: [],
      adminKeys: ['admin'],
    })
    expect(resolved({ auth: { keys: ['mine'] } }, {}, env).auth.keys).toEqual(['mine'])
    expect(resolved({ auth: { keys: [], adminKeys: [] } }, {}, env).auth.keys).toEqual([])
    expect(resolved({}).auth).toEqual({ keys: [], readKeys: [], adminKeys: [] })
  })

  test('a public address needs a key', () => {
    expect(resolved({ listen: { host: '0.0.0.0' } }, {}, { HEALTH_KEY: 'k' }).listen.host).toBe(
      '0.0.0.0',
    )
    expect(resolved({ listen: { host: '::1' } }).listen.host).toBe('::1')
  })
})

describe('one clear line for each mistake', () => {
  const check = (more: object) => ({
    apps: { 'a/b': { ...app, healthCheck: { path: '/health', ...more } } },
  })
  const rows: readonly [string, unknown, string | null, string][] = [
    [
      'a list at the top',
      [],
      'the configuration',
      'the configuration is []; allowed is an object of names and values.',
    ],
    ['a folder that is no text', { dataDir: 5 }, 'dataDir', 'dataDir is 5; allowed is a text.'],
    ['a folder without a name', { dataDir: '' }, 'dataDir', 'dataDir is ""; allowed is a text.'],
    [
      'a command without a program',
      { gpu: { resetCommand: [] } },
      'gpu.resetCommand',
      'gpu.resetCommand is not a command',
    ],
    [
      'an unknown section',
      { listn: {} },
      'listn',
      'listn is not an option; the nearest is listen.',
    ],
    [
      'an unknown field',
      { limits: { bodyByte: 1 } },
      'limits.bodyByte',
      'limits.bodyByte is not an option; the nearest is bodyBytes.',
    ],
    [
      'a section that is a text',
      { listen: '8080' },
      'listen',
      'listen is "8080"; allowed is an object of names and values.',
    ],
    [
      'a port out of range',
      { listen: { port: 70000 } },
      'listen.port',
      'listen.port is 70000; allowed is a whole number ≥ 0 and ≤ 65535.',
    ],
    [
      'a port as a text',
      { listen: { port: '80' } },
      'listen.port',
      'listen.port is "80"; allowed is a whole number ≥ 0 and ≤ 65535.',
    ],
    [
      'a public address without keys',
      { listen: { host: '0.0.0.0' } },
      'listen.host',
      'without keys only a loopback address',
    ],
    [
      'an unknown log level',
      { logs: { level: 'loud' } },
      'logs.level',
      'logs.level is "loud"; allowed is "debug" or "info" or "warn" or "error".',
    ],
    [
      'an unknown backend',
      { queue: { backend: 'mysql' } },
      'queue.backend',
      'queue.backend is "mysql"; allowed is "sqlite" or "memory".',
    ],
    [
      'a backend of a later version',
      { queue: { backend: 'redis' } },
      'queue.backend',
      'queue.backend: "redis" is not in this version; allowed is "sqlite" or "memory".',
    ],
    [
      'an address of a queue',
      { queue: { url: 'redis://h' } },
      'queue.url',
      'queue.url is not in this version; leave it out.',
    ],
    [
      'an alert webhook',
      { alerts: { webhook: ['http://h'] } },
      'alerts.webhook',
      'alerts.webhook is not in this version',
    ],
    [
      'an unknown tunable',
      { policy: { maxAttempt: 3 } },
      'policy.maxAttempt',
      'policy.maxAttempt is not an option; the nearest is maxAttempts.',
    ],
    [
      'a tunable out of range',
      { policy: { maxAttempts: 11 } },
      'policy.maxAttempts',
      'policy.maxAttempts is 11; allowed is a whole number ≥ 1 and ≤ 10.',
    ],
    [
      'an app without an owner',
      { apps: { echo: app } },
      'apps',
      'apps is "echo"; allowed is owner/alias',
    ],
    [
      'an app that no call can name',
      { apps: { 'workflows/echo': app } },
      'apps',
      'apps is "workflows/echo"; allowed is an owner that is not a namespace',
    ],
    [
      'an app that is a text',
      { apps: { 'a/b': 'x' } },
      'apps.a/b',
      'apps.a/b is "x"; allowed is an object',
    ],
    [
      'an unknown option of an app',
      { apps: { 'a/b': { ...app, maxConcurency: 1 } } },
      'apps.a/b.maxConcurency',
      'apps.a/b.maxConcurency is not an option; the nearest is maxConcurrency.',
    ],
    [
      'an app without a command',
      { apps: { 'a/b': {} } },
      'apps.a/b.command',
      'apps.a/b.command is missing',
    ],
    [
      'a command that is a text',
      { apps: { 'a/b': { command: 'node x' } } },
      'apps.a/b.command',
      'there is no shell',
    ],
    [
      'a command beside urls',
      { apps: { 'a/b': { ...app, urls: ['http://h'] } } },
      'apps.a/b.command',
      'one of both',
    ],
    [
      'a bad address',
      { apps: { 'a/b': { urls: ['http://u:secret@h'] } } },
      'apps.a/b.urls[0]',
      'allowed is http://HOST:PORT',
    ],
    [
      'an https address',
      { apps: { 'a/b': { urls: ['https://h'] } } },
      'apps.a/b.urls[0]',
      'not in this version',
    ],
    [
      'an address twice',
      { apps: { 'a/b': { urls: ['http://h', 'http://h/'] } } },
      'apps.a/b.urls',
      'each address once',
    ],
    [
      'an address of two apps',
      { apps: { 'a/b': { urls: ['http://h'] }, 'a/c': { urls: ['http://h'] } } },
      'apps.a/c.urls',
      'a/b has it',
    ],
    [
      'a variable of ours',
      { apps: { 'a/b': { ...app, env: { PORT: '1' } } } },
      'apps.a/b.env.PORT',
      'set by the gateway',
    ],
    [
      'a variable that is a list',
      { apps: { 'a/b': { ...app, env: { KEY: ['secret'] } } } },
      'apps.a/b.env.KEY',
      'not shown',
    ],
    [
      'two health checks',
      { apps: { 'a/b': { ...app, healthCheck: [{ path: '/one' }, { path: '/two' }] } } },
      'apps.a/b.healthCheck',
      '/one and /two',
    ],
    [
      'a health check without a path',
      { apps: { 'a/b': { ...app, healthCheck: {} } } },
      'apps.a/b.healthCheck.path',
      'healthCheck.path',
    ],
    [
      'a negative interval',
      check({ intervalSeconds: -1 }),
      'apps.a/b.healthCheck.intervalSeconds',
      'intervalSeconds is -1; allowed is a number ≥ 0.1.',
    ],
    [
      'a half threshold',
      check({ failureThreshold: 1.5 }),
      'apps.a/b.healthCheck.failureThreshold',
      'failureThreshold is 1.5; allowed is a whole number ≥ 1.',
    ],
    [
      'a misspelt check option',
      check({ timeoutSecond: 1 }),
      'apps.a/b.healthCheck.timeoutSecond',
      'the nearest is timeoutSeconds.',
    ],
    [
      'a minimum above the maximum',
      { apps: { 'a/b': { ...app, minConcurrency: 2, maxConcurrency: 1 } } },
      'apps.a/b.minConcurrency',
      'minConcurrency is 2; allowed is at most maxConcurrency (1).',
    ],
    [
      'a rule in dryRun that there is not, without any app',
      { policy: { dryRun: ['nope'] }, apps: {} },
      'policy.dryRun',
      'policy.dryRun is "nope"; allowed is a rule',
    ],
    [
      'an immediate rule in dryRun, without any app',
      { policy: { dryRun: ['outcome.server_error'] }, apps: {} },
      'policy.dryRun',
      'allowUnsafe',
    ],
    [
      'a number of another kind',
      { apps: { 'a/b': { ...app, minConcurrency: 1n } } },
      'apps.a/b.minConcurrency',
      'minConcurrency is 1n; allowed is a whole number',
    ],
    [
      'an unknown retry condition',
      { apps: { 'a/b': { ...app, skipRetryConditions: ['timeouts'] } } },
      'apps.a/b.skipRetryConditions',
      'skipRetryConditions',
    ],
  ]
  const long = 'env:LONG'
  test.for<readonly [object, string]>([
    [{ auth: 'env:SECRET' }, 'auth is env:SECRET (its value is not shown); allowed is an object'],
    [{ auth: long }, 'auth is env:LONG (its value is not shown); allowed is an object'],
    [{ policy: { capPercent: 'env:SECRET' } }, 'policy.capPercent is env:SECRET'],
    [{ alerts: { webhook: 'env:SECRET' } }, 'alerts.webhook is env:SECRET'],
    [{ apps: { 'a/b': { urls: 'env:SECRET' } } }, 'apps.a/b.urls is env:SECRET'],
    [
      { apps: { 'a/b': { ...app, skipRetryConditions: ['env:SECRET'] } } },
      'apps.a/b.skipRetryConditions is [env:SECRET (its value is not shown)]',
    ],
    [
      { apps: { 'a/b': { ...app, skipRetryConditions: ['timeout', 'env:LONG'] } } },
      'apps.a/b.skipRetryConditions is ["timeout",env:LONG (its value is not shown)',
    ],
    [{ policy: { dryRun: 'env:LONG' } }, 'policy.dryRun is env:LONG (its value is not shown)'],
    // What is allowed is no secret, whatever a variable holds.
    [{ gpu: { source: 'env:SECRET' }, dataDir: 'env:WORD' }, 'allowed is "auto" or "nvml"'],
  ])('a value from the environment is named, not shown: %j', ([raw, said]) => {
    const env = { SECRET: 'hunter2', LONG: 'hunter2'.repeat(50), WORD: 'nvml' }
    const { message } = mistake(() => resolved(raw, {}, env))
    expect(message).toContain(said)
    expect(message).not.toContain('hunter2')
  })
  test.for(rows)('%s', ([, raw, path, text]) => {
    const error = mistake(() => resolved(raw))
    expect(error.message).toContain(text)
    expect(error.message).not.toContain('\n')
    expect(error.message).not.toContain('secret')
    expect(error.path ?? '').toBe(path)
  })

  test('a key is never shown', () => {
    const error = mistake(() => resolved({ auth: { keys: ['a secret with blanks'] } }))
    expect(error.message).toContain('auth.keys[0]')
    expect(error.message).not.toContain('secret with')
  })

  test('flags and variables are checked as well', () => {
    expect(mistake(() => resolved({}, { port: 'http' })).message).toBe(
      '--port is "http"; allowed is a whole number from 0 to 65535.',
    )
    expect(mistake(() => resolved({}, {}, { PORT: '99999' })).message).toContain('PORT is "99999"')
  })
})

describe('the file', () => {
  const yaml =
    'listen: { port: 0 }\napps:\n  a/b:\n    command: [node, x.mjs]\n    healthCheck: { path: /health }\n'
  test.for([
    ['yaml', yaml],
    [
      'json',
      '{"listen":{"port":0},"apps":{"a/b":{"command":["node","x.mjs"],"healthCheck":{"path":"/health"}}}}',
    ],
    [
      'js',
      'export default { listen: { port: 0 }, apps: { "a/b": { command: ["node", "x.mjs"], healthCheck: { path: "/health" } } } }',
    ],
    [
      'ts',
      'const port: number = 0\nexport default async () => ({ listen: { port }, apps: { "a/b": { command: ["node", "x.mjs"], healthCheck: { path: "/health" } } } })',
    ],
  ] as const)('health.config.%s is found and read', async ([kind, text]) => {
    const file = write(`${kind}/health.config.${kind}`, text)
    const config = await loadConfig({}, place({ cwd: dirname(file) }))
    expect(config.file).toBe(file)
    expect(config.listen.port).toBe(0)
    expect([...config.apps.keys()]).toEqual(['a/b'])
  })

  test('a second reading sees what the file says now', async () => {
    const file = write('again/health.config.js', 'export default { listen: { port: 1 } }')
    const read = async () => (await loadConfig({ config: file }, place())).listen.port
    expect(await read()).toBe(1)
    writeFileSync(file, 'export default { listen: { port: 2 } }')
    expect(await read()).toBe(2)
  })

  test.for([
    ['missing.yaml', null, 'does not exist. Check the path.'],
    ['bad.json', '{"a": secret}', "is not JSON: unexpected token 's'."],
    ['short.json', '{"a":', 'is not JSON'],
    ['line.json', '{\n  "a": 1,\n}', 'is not JSON: unexpected text at line 3, column 1.'],
    ['bad.yaml', 'a: [1', 'is not YAML'],
    ['twice.yaml', 'apps:\n  a/b: {}\n  a/b: {}\n', 'is not YAML'],
    ['bad.toml', 'a = 1', 'ends in ".toml"'],
    ['empty.js', 'export const a = 1', 'has no default export'],
    ['throws.mjs', 'throw new Error("first\\nsecond")', 'cannot be run: first.'],
    ['large.json', `"${'x'.repeat(1_100_000)}"`, 'bytes; 1048576 are allowed.'],
  ] as const)('%s is refused in one line', async ([name, text, message]) => {
    const file = text === null ? join(folder, name) : write(name, text)
    const error = await loadConfig({ config: file }, place()).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(HealthError)
    expect((error as HealthError).message).toContain(message)
    expect((error as HealthError).message).toContain(name)
    expect((error as HealthError).message).not.toMatch(/\n|secret/)
  })

  test('a mark before the text of a JSON file is not part of it', async () => {
    const file = write('marked.json', '\uFEFF{"listen":{"port":3}}')
    expect((await loadConfig({ config: file }, place())).listen.port).toBe(3)
  })

  test('a folder is no file', async () => {
    await expect(loadConfig({ config: folder }, place())).rejects.toThrow(
      `${folder} is a folder. Name the file in it.`,
    )
  })

  test('two configurations in one folder are refused', async () => {
    write('two/health.config.json', '{}')
    write('two/health.config.yaml', '')
    await expect(loadConfig({}, place({ cwd: join(folder, 'two') }))).rejects.toThrow('Keep one')
  })
})

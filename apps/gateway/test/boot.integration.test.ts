// Beginnings and endings of the gateway as a process: by npm, by the binary, with each thing that can be wrong.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  call,
  fromSource,
  GatewayProcess,
  lives,
  root,
  startGateway,
  until,
} from './gateway-process.ts'

const boot = join(root, '.ci/boot.mjs')
const json = { method: 'POST', headers: { 'content-type': 'application/json' } }
const runnerPid = async (url: string): Promise<number> => {
  const ready = await until(
    () => call(url, '/v1/runners'),
    ({ value }) => value.runners.some((runner: { state: string }) => runner.state === 'ready'),
  )
  return ready.value.runners[0].pid as number
}

/** A repository whose installation is current and brought no Node. */
function bareRepository(folder: string): void {
  mkdirSync(join(folder, '.ci'))
  mkdirSync(join(folder, 'node_modules/.pnpm'), { recursive: true })
  for (const name of ['boot.mjs', 'node-flags.mjs', 'start-file.mjs'])
    copyFileSync(join(root, '.ci', name), join(folder, '.ci', name))
  for (const name of [
    'pnpm-lock.yaml',
    'node_modules/.pnpm/lock.yaml',
    'node_modules/.modules.yaml',
  ])
    writeFileSync(join(folder, name), 'x')
}

describe('npm start', () => {
  const start = (command: string, args: readonly string[], detached: boolean): GatewayProcess => {
    const folder = mkdtempSync(join(tmpdir(), 'health-gateway-'))
    return new GatewayProcess(
      command,
      [...args, '--port', '0', '--data-dir', join(folder, 'data')],
      { detached, folder },
    )
  }
  const underNpm = (): GatewayProcess => start('npm', ['start', '--'], true)
  const underBoot = (): GatewayProcess => start(process.execPath, [boot, 'start'], false)

  test('serves the demo, and SIGTERM ends it and its runner', async () => {
    await using gateway = underBoot()
    const url = await gateway.url()
    const answer = await call(url, '/run/demo/echo', { ...json, body: '{"a":1}' })
    expect(answer).toMatchObject({ status: 200, value: { a: 1 } })
    const pid = await runnerPid(url)
    gateway.child.kill('SIGTERM')
    expect(await gateway.ended).toMatchObject({ code: 0, err: '' })
    expect(lives(pid)).toBe(false)
  })

  test('a Ctrl-C that npm delivers twice drains once', async () => {
    await using gateway = underNpm()
    const url = await gateway.url()
    const pid = await runnerPid(url)
    // A terminal sends it to the whole group; npm passes it on once more.
    process.kill(-gateway.child.pid!, 'SIGINT')
    // npm itself then ends as it likes, by the signal or by a code; the gateway ended in order.
    expect((await gateway.ended).out).toContain('"gateway.stopped"')
    expect(lives(pid)).toBe(false)
  })

  test.for(['npm', 'boot'] as const)('the loss of %s ends the gateway in order', async (who) => {
    await using gateway = who === 'npm' ? underNpm() : underBoot()
    const url = await gateway.url()
    const pid = await runnerPid(url)
    gateway.child.kill('SIGKILL')
    // The pipe closes when the last process that holds it has ended: the gateway itself.
    const { out } = await gateway.ended
    expect(out).toContain('"gateway.stopped"')
    expect(lives(pid)).toBe(false)
  })

  test('where no Node is new enough, one line says so', async (context) => {
    const old = ['/usr/bin/node', '/usr/local/bin/node'].find((path) => {
      const version = spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout ?? ''
      const [major, minor] = version.replace('v', '').split('.').map(Number)
      return major !== undefined && (major < 22 || (major === 22 && minor! < 19))
    })
    context.skip(old === undefined, 'no old Node is on this machine')
    const folder = mkdtempSync(join(tmpdir(), 'health-boot-'))
    try {
      bareRepository(folder)
      const ran = spawnSync(old!, [join(folder, '.ci/boot.mjs'), 'start'], { encoding: 'utf8' })
      expect(ran.stderr).toMatch(/^Node 22\.19 or newer is needed; this is v[^\n]+\n$/)
      expect(ran).toMatchObject({ status: 1, stdout: '' })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('npm run health passes arguments and the exit code on', () => {
    const ran = spawnSync(process.execPath, [boot, 'health', 'runners'], {
      encoding: 'utf8',
      env: { ...process.env, HEALTH_URL: 'http://127.0.0.1:1' },
    })
    expect(ran).toMatchObject({ status: 2, stdout: '' })
    expect(ran.stderr).toMatch(/^HEALTH_CONNECT: [^\n]+\n$/)
  })
})

describe('the bundle that npm start runs', () => {
  test('is made of the sources as they are, once; where none can be made the sources run', () => {
    const folder = mkdtempSync(join(tmpdir(), 'health-boot-'))
    const write = (name: string, text: string): void => {
      mkdirSync(dirname(join(folder, name)), { recursive: true })
      writeFileSync(join(folder, name), text)
    }
    try {
      bareRepository(folder)
      write('apps/gateway/package.json', '{"type":"module"}')
      write('apps/gateway/src/main.ts', `console.log('the sources')`)
      write('packages/core/package.json', '{}')
      write('packages/core/src/index.ts', '1')
      write('packages/.stray', '')
      const bundles = (says: string): void =>
        write(
          '.ci/bundle.mjs',
          `import { mkdirSync, writeFileSync } from 'node:fs'
           mkdirSync(process.argv[2])
           writeFileSync(process.argv[2] + '/main.mjs', 'console.log("${says}")')`,
        )
      const started = (): readonly string[] => {
        const { stdout, stderr, status } = spawnSync(
          process.execPath,
          [join(folder, '.ci/boot.mjs'), 'start'],
          { encoding: 'utf8' },
        )
        expect(status).toBe(0)
        return [stdout.trim(), stderr.trim()]
      }
      bundles('first')
      expect(started()).toEqual(['first', ''])
      const [made] = readdirSync(join(folder, 'node_modules/.cache/health/start'))
      const age = () => statSync(join(folder, 'node_modules/.cache/health/start', made!)).mtimeMs
      const before = age()
      expect(started()).toEqual(['first', ''])
      expect(age()).toBe(before)
      bundles('second')
      expect(started()).toEqual(['second', ''])
      // The bundler itself stays; what it is to read has changed by one byte.
      write('packages/core/src/index.ts', '2')
      write(`node_modules/.cache/health/start/${made}/main.mjs`, `console.log('stale')`)
      expect(started()).toEqual(['second', ''])
      write('.ci/bundle.mjs', `console.error('no\\nbundler here'); process.exit(1)`)
      expect(started()).toEqual([
        'the sources',
        'The gateway starts from its sources, a little slower: bundler here',
      ])
      rmSync(join(folder, '.ci/bundle.mjs'))
      expect(started()[0]).toBe('the sources')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('finds pages, the layout engine, the writer of the queue and its sources', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'health-bundle-'))
    const made = join(folder, 'bundle')
    const ran = spawnSync(process.execPath, [join(root, '.ci/bundle.mjs'), made], {
      encoding: 'utf8',
    })
    expect(ran).toMatchObject({ status: 0, stdout: '', stderr: '' })
    for (const name of readdirSync(made).filter((file) => file.endsWith('.map'))) {
      const { sources } = JSON.parse(readFileSync(join(made, name), 'utf8')) as {
        readonly sources: readonly string[]
      }
      expect(sources.filter((source) => !existsSync(join(made, source)))).toEqual([])
    }
    const from = ['--conditions=@health/source', join(made, 'main.mjs')]
    await using gateway = new GatewayProcess(
      process.execPath,
      [...from, 'start', '--port', '0', '--data-dir', join(folder, 'data')],
      { folder },
    )
    const url = await gateway.url()
    for (const path of ['/', '/inspect', '/inspect/elk-worker.js', '/openapi.json']) {
      const { status } = await fetch(url + path)
      expect({ path, status }).toEqual({ path, status: 200 })
    }
    const submitted = await call(url, '/queue/demo/echo', { ...json, body: '{"a":1}' })
    const { value } = await until(
      () => call(url, `/queue/demo/echo/requests/${submitted.value.request_id}/status`),
      (answer) => answer.value.status === 'COMPLETED',
    )
    expect(value).toMatchObject({ request_id: submitted.value.request_id })
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/realtime`)
    await once(socket, 'open')
    socket.close()
    // With its maps an error that nobody expects names its source, as if the sources ran.
    const broken = join(folder, 'broken.config.mjs')
    writeFileSync(broken, `export default { get apps() { throw new Error('odd') } }`)
    const [trace, wanted] = [['--enable-source-maps', ...from], fromSource].map((one) => {
      const { stderr } = spawnSync(process.execPath, [...one, 'validate', broken], {
        encoding: 'utf8',
      })
      return stderr.match(/\/apps\/gateway\/src\/[^:]+:\d+/g)
    })
    expect(wanted).toContainEqual(expect.stringContaining('/apps/gateway/src/config.ts:'))
    expect(trace).toEqual(wanted)
    const version = spawnSync(process.execPath, [...from, '--version'], { encoding: 'utf8' })
    const own = spawnSync(process.execPath, [...fromSource, '--version'], { encoding: 'utf8' })
    expect(version).toMatchObject({ status: 0, stdout: own.stdout })
  })
})

describe('health start', () => {
  test('a second signal ends at once, with its own code, and leaves no runner', async () => {
    await using gateway = startGateway()
    const url = await gateway.url()
    // A call in flight holds the drain.
    const held = call(url, '/run/demo/echo', { ...json, body: '{"delayMs":8000}' }).catch(
      (error: unknown) => error,
    )
    await until(
      () => call(url, '/v1/runners'),
      ({ value }) => value.runners.some((runner: { inFlight: number }) => runner.inFlight === 1),
    )
    const pid = await runnerPid(url)
    gateway.child.kill('SIGTERM')
    await gateway.line((line) => line.event === 'gateway.stopping')
    gateway.child.kill('SIGINT')
    expect(await gateway.ended).toMatchObject({ code: 130 })
    await held
    // Nobody is left to end the runner: it is ended with us.
    await until(
      async () => lives(pid),
      (alive) => !alive,
    )
  })

  test('/ready turns before anything is closed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'health-gateway-'))
    writeFileSync(join(folder, 'h.yaml'), 'shutdown: { delaySeconds: 30 }\napps: {}\n')
    await using gateway = startGateway(['--config', join(folder, 'h.yaml')], { folder })
    const url = await gateway.url()
    expect((await call(url, '/ready')).status).toBe(200)
    gateway.child.kill('SIGTERM')
    await gateway.line((line) => line.event === 'gateway.stopping')
    expect((await call(url, '/ready')).status).toBe(503)
    expect((await call(url, '/live')).status).toBe(200)
    gateway.child.kill('SIGTERM')
    expect(await gateway.ended).toMatchObject({ code: 143 })
  })

  test('a configuration is read again on SIGHUP; an invalid one changes nothing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'health-gateway-'))
    const file = join(folder, 'h.yaml')
    const app =
      '{ command: [node, -e, "setInterval(() => {}, 1000)"], healthCheck: { path: /health } }'
    writeFileSync(file, `apps: { a/one: ${app} }\n`)
    await using gateway = startGateway(['--config', file], { folder })
    const url = await gateway.url()
    const names = async (): Promise<string[]> =>
      (await call(url, '/v1/apps')).value.apps.map((one: { id: string }) => one.id)
    expect(await names()).toEqual(['a/one'])
    writeFileSync(file, `apps: { a/one: ${app}, a/two: ${app} }\n`)
    gateway.child.kill('SIGHUP')
    await gateway.line((line) => line.event === 'config.reloaded')
    expect((await names()).toSorted()).toEqual(['a/one', 'a/two'])
    writeFileSync(file, 'apps: { a/one: { comand: [x] } }\n')
    gateway.child.kill('SIGHUP')
    const said = await gateway.line((line) => line.event === 'config.invalid')
    expect(said['error']).toBe(
      'HEALTH_POLICY_UNKNOWN: apps.a/one.comand is not an option; the nearest is command.',
    )
    expect((await names()).toSorted()).toEqual(['a/one', 'a/two'])
  })

  test('a command that is not there degrades its app alone, in one line', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'health-gateway-'))
    const file = join(folder, 'h.yaml')
    writeFileSync(
      file,
      'apps: { a/none: { command: [/no/such/program], healthCheck: { path: /health }, minConcurrency: 1 } }\n',
    )
    await using gateway = startGateway(['--config', file], { folder })
    const url = await gateway.url()
    const { value } = await until(
      () => call(url, '/v1/apps'),
      (answer) => answer.value.apps[0].degraded === true,
    )
    expect(value.apps[0].id).toBe('a/none')
    expect((await call(url, '/health')).value.status).toBe('degraded')
    // It was told before anybody could scrape: only a gauge shows it to Prometheus.
    expect(await (await fetch(`${url}/metrics`)).text()).toContain(
      'health_app_degraded{app="a/none"} 1',
    )
    const refused = await call(url, '/run/a/none', { ...json, body: '{}' })
    expect(refused).toMatchObject({
      status: 503,
      value: { error_type: 'runner_scheduling_failure' },
    })
  })
})

test('a start that is refused ends under npm too, where a channel to the parent is open', async () => {
  const child = spawn(process.execPath, [...fromSource, 'start', '--config', 'none.yaml'], {
    cwd: tmpdir(),
    env: { ...process.env, HEALTH_BOOT: '1' },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  expect(await once(child, 'exit')).toEqual([1, null])
})

describe('what cannot start says why in one line', () => {
  const run = (args: readonly string[], env: Record<string, string> = {}) =>
    spawnSync(process.execPath, [...fromSource, 'start', ...args], {
      encoding: 'utf8',
      cwd: tmpdir(),
      env: { ...process.env, ...env },
      timeout: 30_000,
    })

  test('a port that is taken: exit 2', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'health-gateway-'))
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const ran = run(['--port', String(port), '--data-dir', folder])
    await new Promise((resolve) => server.close(resolve))
    rmSync(folder, { recursive: true, force: true })
    expect(ran).toMatchObject({ status: 2, stdout: '' })
    expect(ran.stderr).toMatch(
      new RegExp(`^HEALTH_LISTEN: Port ${port} of 127\\.0\\.0\\.1 is taken\\. [^\\n]+\\n$`),
    )
  })

  test('a data directory that cannot be made: exit 3', () => {
    const folder = mkdtempSync(join(tmpdir(), 'health-gateway-'))
    writeFileSync(join(folder, 'file'), '')
    const ran = run(['--port', '0', '--data-dir', join(folder, 'file', 'data')])
    rmSync(folder, { recursive: true, force: true })
    expect(ran.status).toBe(3)
    expect(ran.stderr).toMatch(/^HEALTH_DATA_[A-Z]+: [^\n]+\n$/)
  })

  test('a data directory below what makes no folders, and says that it is not there: exit 3', () => {
    const ran = run(['--port', '0', '--data-dir', '/proc/nowhere/data'])
    expect(ran).toMatchObject({ status: 3, stdout: '' })
    expect(ran.stderr).toMatch(/^HEALTH_DATA_DENIED: [^\n]+\n$/)
  })

  test('a data directory that another gateway has: exit 3', async () => {
    await using gateway = startGateway()
    await gateway.url()
    const ran = run(['--port', '0', '--data-dir', join(gateway.folder, 'data')])
    expect(ran.status).toBe(3)
    expect(ran.stderr).toMatch(/^HEALTH_DATA_LOCKED: [^\n]+\n$/)
  })

  test.for([
    [['--config', 'none.yaml'], 'HEALTH_CONFIG_FILE'],
    [['--host', '0.0.0.0'], 'HEALTH_POLICY_INVALID'],
    [['--port', 'many'], 'HEALTH_POLICY_INVALID'],
    [['--prot', '1'], 'HEALTH_USAGE'],
  ] as const)('%j: exit 1', ([args, code]) => {
    const ran = run([...args])
    expect(ran).toMatchObject({ status: 1, stdout: '' })
    expect(ran.stderr).toMatch(new RegExp(`^${code}: [^\\n]+\\n$`))
  })
})

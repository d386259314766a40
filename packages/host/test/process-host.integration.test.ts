/** Real processes that behave as badly as runners do: how each start is answered, how each end is told, and that nothing is left. */
import { chmodSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { alive, Stage } from './stage.ts'

const SLEEPS = `console.log('up'); setInterval(() => {}, 1000)`
const IGNORES_SIGTERM = `process.on('SIGTERM', () => console.log('ignored')); console.log('up'); setInterval(() => {}, 1000)`
/** A leader that ends while its child and grandchild, deaf to SIGTERM, live on. */
const FORKS = `
import { spawn } from 'node:child_process'
const depth = Number(process.argv[2] ?? 0)
process.on('SIGTERM', () => {})
if (depth < 2) spawn(process.execPath, [process.argv[1], String(depth + 1)], { stdio: 'inherit' })
else console.log('grandchild')
if (depth === 0) process.on('SIGUSR2', () => process.exit(7))
setInterval(() => {}, 1000)`
/** A leader that ends while its child takes a moment to put things away. */
const TIDIES = `
import { spawn } from 'node:child_process'
if (process.argv[2] === 'child') {
  process.on('SIGTERM', () => setTimeout(() => { console.log('tidied'); process.exit() }, 100))
  console.log('up')
} else {
  spawn(process.execPath, [process.argv[1], 'child'], { stdio: 'inherit' })
  process.on('SIGUSR2', () => process.exit(0))
}
setInterval(() => {}, 1000)`

describe('start', () => {
  test('a started process is told with pid, start time and a url that nobody else has', async () => {
    const stage = new Stage()
    const command = stage.script('sleeps', SLEEPS)
    stage.host.provision(stage.order('r1', command))
    stage.host.provision(stage.order('r2', command))
    const [one, two] = [
      await stage.fact('process.started', 'r1'),
      await stage.fact('process.started', 'r2'),
    ]
    expect(one.url).toMatch(/^http:\/\/127\.0\.0\.1:2\d{4}$/)
    expect(one.url).not.toBe(two.url)
    expect(one.pid).toBeGreaterThan(1)
    expect(one.startTime).toMatch(/^\d+-[0-9a-f]{8}$/)
  })

  test('many starts at once are made one in each turn, so that others are heard in between', async () => {
    const stage = new Stage()
    const command = stage.script('sleeps', SLEEPS)
    const names = Array.from({ length: 8 }, (_, i) => `r${i}`)
    let turn = 0
    const beat = (): void => {
      turn++
      if (stage.facts.length < names.length) setImmediate(beat)
    }
    const turns = new Set<number>()
    stage.host.listen((fact) => {
      stage.facts.push(fact)
      turns.add(turn)
    })
    for (const name of names) stage.host.provision(stage.order(name, command))
    setImmediate(beat)
    for (const name of names) await stage.fact('process.started', name)
    expect(turns.size).toBe(names.length)
  })

  test('the runner sees the documented environment, its placeholders filled, and nothing else', async () => {
    const stage = new Stage({ inherit: { PATH: process.env['PATH'], HOME: '/home/x' } })
    const command = [
      ...stage.script('env', `console.log(JSON.stringify([process.env, process.argv.slice(2)]))`),
      '--port={port}',
      '{runner}',
      '{other}',
    ]
    stage.host.provision(
      stage.order('r1', command, {
        devices: ['GPU-1', 'GPU-2'],
        launch: {
          command,
          cwd: stage.dir,
          env: { WHO: '{runner} on {device}', PORT: '1', CUDA_VISIBLE_DEVICES: 'all' },
        },
        env: { HEALTH_HEARTBEAT_URL: 'http://127.0.0.1/x' },
      }),
    )
    const { url } = await stage.fact('process.started', 'r1')
    await stage.fact('process.exited', 'r1')
    const port = new URL(url).port
    const [env, args] = JSON.parse(stage.output('r1')) as [Record<string, string>, string[]]
    expect(env).toEqual({
      PATH: process.env['PATH'],
      HOME: '/home/x',
      PORT: port,
      HEALTH_RUNNER_ID: 'r1',
      HEALTH_APP: 'demo/echo',
      FAL_RUNNER_STATE: 'SETUP',
      CUDA_VISIBLE_DEVICES: 'GPU-1,GPU-2',
      WHO: 'r1 on GPU-1,GPU-2',
      HEALTH_HEARTBEAT_URL: 'http://127.0.0.1/x',
    })
    expect(args).toEqual([`--port=${port}`, 'r1', '{other}'])
  })

  test('AMD devices are named to their own runtime', async () => {
    const stage = new Stage()
    const command = stage.script('env', `console.log(JSON.stringify(process.env))`)
    const devices = ['GPU-79ccd55167a2124a', 'amd-3']
    stage.host.provision(stage.order('r1', command, { devices }))
    await stage.fact('process.exited', 'r1')
    expect(JSON.parse(stage.output('r1'))).toMatchObject({
      ROCR_VISIBLE_DEVICES: 'GPU-79ccd55167a2124a,3',
      HIP_VISIBLE_DEVICES: '0,1',
      CUDA_VISIBLE_DEVICES: '0,1',
    })
  })

  test('the runner can listen on its port', async () => {
    const stage = new Stage()
    const command = stage.script(
      'listens',
      `import net from 'node:net'; net.createServer((s) => s.end('hi')).listen(process.env.PORT, '127.0.0.1', () => console.log('up'))`,
    )
    stage.host.provision(stage.order('r1', command))
    const { url } = await stage.fact('process.started', 'r1')
    await stage.until(() => stage.output('r1').includes('up'))
    const answer = await new Promise((resolve) =>
      connect(Number(new URL(url).port), '127.0.0.1').on('data', (data) => resolve(String(data))),
    )
    expect(answer).toBe('hi')
  })

  test('no shell reads the command', async () => {
    const stage = new Stage()
    const command = [
      ...stage.script('args', `console.log(process.argv[2])`),
      '$(id) `id`; echo $HOME > x',
    ]
    stage.host.provision(stage.order('r1', command))
    await stage.fact('process.exited', 'r1')
    expect(stage.output('r1').trim()).toBe('$(id) `id`; echo $HOME > x')
  })

  test.for([
    { wrong: 'no command', command: [], detail: /no command/ },
    {
      wrong: 'a command that no folder of PATH has',
      command: ['no-such-program-here'],
      detail: /^Command not found: no-such-program-here \(/,
    },
    {
      wrong: 'a path that is not there',
      command: ['./nothing.sh'],
      detail: /^Command not found: \/.*nothing\.sh$/,
    },
    {
      wrong: 'a file that may not be executed',
      command: ['./plain.txt'],
      detail: /^Command not executable: \/.*plain\.txt$/,
    },
    { wrong: 'a folder', command: ['./logs.d'], detail: /not found|not executable/ },
    {
      wrong: 'an interpreter that is not there',
      command: ['./bad-interpreter.sh'],
      detail: /interpreter/,
    },
    { wrong: 'a file that is no program', command: ['./garbage.bin'], detail: /not a program/ },
    {
      wrong: 'arguments beyond the limit of the kernel',
      command: ['/bin/true', 'x'.repeat(3_000_000)],
      detail: /too long/,
    },
    { wrong: 'a NUL character', command: ['/bin/true', 'a\0b'], detail: /NUL/ },
    {
      wrong: 'a folder to start in that is not there',
      command: ['/bin/true'],
      cwd: 'missing',
      detail: /cwd\) does not exist\.$/,
    },
    {
      wrong: 'a file to start in',
      command: ['/bin/true'],
      cwd: 'plain.txt',
      detail: /cwd\) is not a folder\.$/,
    },
  ])('$wrong is refused once, in one line', async ({ command, cwd, detail }) => {
    const stage = new Stage()
    writeFileSync(join(stage.dir, 'plain.txt'), 'text', { mode: 0o644 })
    writeFileSync(join(stage.dir, 'bad-interpreter.sh'), '#!/no/such/interpreter\n')
    writeFileSync(join(stage.dir, 'garbage.bin'), Buffer.from([0x7f, 0x00, 0x01, 0x02]))
    for (const name of ['bad-interpreter.sh', 'garbage.bin'])
      chmodSync(join(stage.dir, name), 0o755)
    stage.host.provision(
      stage.order('r1', command, {
        launch: { command, cwd: join(stage.dir, cwd ?? '.'), env: {} },
      }),
    )
    const fact = await stage.fact('provision.refused', 'r1')
    expect(fact.why).toBe('bad_config')
    expect(fact.detail).toMatch(detail)
    expect(fact.detail).not.toContain('\n')
    expect(stage.facts).toHaveLength(1)
  })

  test('no free port is no capacity', async () => {
    const stage = new Stage({ portRange: [11_990, 11_990] })
    stage.host.provision(stage.order('r1', stage.script('sleeps', SLEEPS)))
    await stage.fact('process.started', 'r1')
    stage.host.provision(stage.order('r2', stage.script('sleeps', SLEEPS)))
    expect(await stage.fact('provision.refused', 'r2')).toMatchObject({ why: 'no_capacity' })
  })

  test('an unknown platform refuses by name', async () => {
    const stage = new Stage({ table: null })
    stage.host.provision(stage.order('r1', ['/bin/true']))
    expect((await stage.fact('provision.refused', 'r1')).detail).toContain(process.platform)
  })

  test('a log that cannot be written does not keep a runner from starting', async () => {
    const stage = new Stage()
    writeFileSync(join(stage.dir, 'logs'), 'a file where the folder should be')
    stage.host.provision(stage.order('r1', ['/bin/echo', 'lost']))
    expect(await stage.fact('process.exited', 'r1')).toMatchObject({ code: 0 })
    expect(stage.warnings[0]).toContain('goes nowhere')
  })
})

describe('end', () => {
  test.for([
    { name: 'exits at once', body: 'process.exit(0)', code: 0, signal: null },
    { name: 'exits with a code', body: 'process.exit(3)', code: 3, signal: null },
    {
      name: 'dies of a signal',
      body: `process.kill(process.pid, 'SIGSEGV')`,
      code: null,
      signal: 'SIGSEGV',
    },
    { name: 'throws', body: 'throw new Error()', code: 1, signal: null },
  ])('a process that $name is told once, with code and signal', async ({ body, code, signal }) => {
    const stage = new Stage()
    stage.host.provision(stage.order('r1', stage.script('ends', body)))
    expect(await stage.fact('process.exited', 'r1')).toMatchObject({ code, signal, incarnation: 1 })
    expect(stage.facts.map((fact) => fact.type)).toEqual(['process.started', 'process.exited'])
  })

  test('stop is SIGTERM to the group', async () => {
    const stage = new Stage()
    stage.host.provision(stage.order('r1', stage.script('sleeps', SLEEPS)))
    const { pid } = await stage.fact('process.started', 'r1')
    stage.host.stop('r1', 1)
    expect(await stage.fact('process.exited', 'r1')).toMatchObject({
      code: null,
      signal: 'SIGTERM',
    })
    expect(await alive(pid ?? 0)).toEqual([])
  })

  test('a process that ignores SIGTERM lives until the kill', async () => {
    const stage = new Stage()
    stage.host.provision(stage.order('r1', stage.script('deaf', IGNORES_SIGTERM)))
    const { pid } = await stage.fact('process.started', 'r1')
    await stage.until(() => stage.output('r1').includes('up'))
    stage.host.stop('r1', 1)
    await stage.until(() => stage.output('r1').includes('ignored'))
    expect(stage.facts.at(-1)?.type).toBe('process.started')
    stage.host.kill('r1', 1)
    expect(await stage.fact('process.exited', 'r1')).toMatchObject({ signal: 'SIGKILL' })
    expect(await alive(pid ?? 0)).toEqual([])
  })

  test('a stopped process (SIGSTOP) is woken to see its SIGTERM', async () => {
    const stage = new Stage()
    stage.host.provision(stage.order('r1', stage.script('sleeps', SLEEPS)))
    const { pid } = await stage.fact('process.started', 'r1')
    process.kill(pid ?? 0, 'SIGSTOP')
    stage.host.stop('r1', 1)
    expect(await stage.fact('process.exited', 'r1')).toMatchObject({ signal: 'SIGTERM' })
  })

  test('the end is told only when children and grandchildren are gone too', async () => {
    const stage = new Stage()
    stage.host.provision(stage.order('r1', stage.script('forks', FORKS)))
    const pid = (await stage.fact('process.started', 'r1')).pid ?? 0
    await stage.until(() => stage.output('r1').includes('grandchild'))
    expect(await alive(pid)).toHaveLength(3)
    process.kill(pid, 'SIGUSR2')
    expect(await stage.fact('process.exited', 'r1')).toMatchObject({ code: 7, signal: null })
    expect(await alive(pid)).toEqual([])
  })

  test('what outlives its leader has its grace to end by itself', async () => {
    const stage = new Stage({ leftoverGraceMs: 30_000 })
    stage.host.provision(stage.order('r1', stage.script('tidies', TIDIES)))
    const pid = (await stage.fact('process.started', 'r1')).pid ?? 0
    await stage.until(() => stage.output('r1').includes('up'))
    process.kill(pid, 'SIGUSR2')
    await stage.fact('process.exited', 'r1')
    expect(stage.output('r1')).toBe('up\ntidied\n')
  })

  test('a kill reaches the whole group', async () => {
    const stage = new Stage()
    stage.host.provision(stage.order('r1', stage.script('forks', FORKS)))
    const pid = (await stage.fact('process.started', 'r1')).pid ?? 0
    await stage.until(() => stage.output('r1').includes('grandchild'))
    stage.host.kill('r1', 1)
    await stage.fact('process.exited', 'r1')
    expect(await alive(pid)).toEqual([])
  })

  test('a stop or kill that comes during the start ends the process after it', async () => {
    const stage = new Stage()
    const command = stage.script('deaf', IGNORES_SIGTERM)
    stage.host.provision(stage.order('r1', command))
    stage.host.stop('r1', 1)
    stage.host.kill('r1', 1)
    await stage.fact('process.exited', 'r1')
    expect(stage.facts.map((fact) => fact.type)).toEqual(['process.started', 'process.exited'])
  })

  test('orders for an unknown runner or another incarnation change nothing', async () => {
    const stage = new Stage()
    stage.host.provision(stage.order('r1', stage.script('sleeps', SLEEPS)))
    const { pid } = await stage.fact('process.started', 'r1')
    stage.host.kill('r1', 2)
    stage.host.kill('r9', 1)
    stage.host.stop('r9', 1)
    expect(await alive(pid ?? 0)).toHaveLength(1)
  })

  test('an order given twice is one order', async () => {
    const stage = new Stage()
    const order = stage.order('r1', stage.script('exits', 'process.exit(0)'))
    stage.host.provision(order)
    stage.host.provision(order)
    await stage.fact('process.exited', 'r1')
    expect(stage.facts.map((fact) => fact.type)).toEqual(['process.started', 'process.exited'])
  })

  test('close without keep leaves no process', async () => {
    const stage = new Stage()
    stage.host.provision(stage.order('r1', stage.script('forks', FORKS)))
    const pid = (await stage.fact('process.started', 'r1')).pid ?? 0
    await stage.until(() => stage.output('r1').includes('grandchild'))
    await stage.host.close({ keep: false })
    expect(await alive(pid)).toEqual([])
  })
})

test('output goes to a file that only its owner reads', async () => {
  const stage = new Stage()
  stage.host.provision(
    stage.order('r1', stage.script('talks', `console.log('out'); console.error('err')`)),
  )
  await stage.fact('process.exited', 'r1')
  expect(stage.output('r1')).toBe('out\nerr\n')
  expect(statSync(join(stage.logDir, 'r1.log')).mode & 0o077).toBe(0)
})

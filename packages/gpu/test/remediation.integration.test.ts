/** Orders become commands of the operator's choice: once each, one at a time, ended when late; our own source lets go first. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { SystemClock } from '@health/testkit'
import { resolveNodePolicy, Nodes, type NodeEvent, type NodeEvidence } from '@health/core'
import {
  createCommandPort,
  type CommandLine,
  type CommandPortOptions,
} from '../src/command-port.ts'
import { Remediation, type NodeCommand, type RemedyPort } from '../src/remediation.ts'
import { folder, removeFolders } from './recordings.ts'

afterAll(removeFolders)

const clock = new SystemClock()
const node = (script: string, ...args: string[]): CommandLine => [
  process.execPath,
  '-e',
  script,
  ...args,
]
const order = (
  type: NodeCommand['type'],
  device: string | null = 'GPU-1',
  id = `${type}:n:1`,
): NodeCommand => ({ type, id, node: 'n', device })

async function perform(
  options: Omit<CommandPortOptions, 'clock'>,
  ...orders: NodeCommand[]
): Promise<NodeEvent[]> {
  const facts: NodeEvent[] = []
  const remediation = new Remediation({
    clock,
    port: createCommandPort({ clock, ...options }),
    report: (fact) => facts.push(fact),
  })
  for (const one of orders) remediation.perform(one)
  await remediation.close()
  return facts
}

describe('a command', () => {
  test.for([
    ['passes', node('console.log("reset done")'), true, 'reset done'],
    [
      'fails with its last words',
      node('console.error("a\\nIn use by another client"); process.exit(255)'),
      false,
      'exit 255: In use by another client',
    ],
    ['fails by signal', node('process.kill(process.pid, "SIGKILL")'), false, 'SIGKILL'],
    [
      'is skipped, which is no pass',
      node('console.log("busy"); process.exit(77)'),
      false,
      'skipped: busy',
    ],
    ['is not there', ['/nonexistent/reset'], false, '/nonexistent/reset: ENOENT'],
  ] as const)('that %s', async ([, command, passed, detail]) => {
    const facts = await perform({ resetCommand: command as CommandLine }, order('reset'))
    expect(facts).toEqual([
      {
        type: 'node.reset.ended',
        at: expect.any(Number),
        node: 'n',
        device: 'GPU-1',
        passed,
        detail,
        answers: 'reset:n:1',
      },
    ])
  })

  test('gets device and node in its arguments, no shell, and little of our environment', async () => {
    process.env.HEALTH_SECRET_FOR_TEST = 'x'
    process.env.LD_LIBRARY_PATH = '/usr/local/nvidia/lib64'
    // Where the driver's libraries lie is no secret, and a check needs it.
    const script = `
      const { HEALTH_SECRET_FOR_TEST: secret = null, LD_LIBRARY_PATH: libraries } = process.env
      console.log(JSON.stringify([process.argv.slice(1), secret, libraries]))`
    const [fact] = await perform(
      { validateCommand: node(script, '--', '-i', '{device}', '{node};{other}', '$(id)') },
      order('validate'),
    )
    expect(fact).toMatchObject({
      passed: true,
      detail: '[["-i","GPU-1","n;{other}","$(id)"],null,"/usr/local/nvidia/lib64"]',
    })
    const [whole] = await perform(
      { validateCommand: node(script, '{device}') },
      order('validate', null),
    )
    expect(whole).toMatchObject({ detail: '[["all"],null,"/usr/local/nvidia/lib64"]' })
    delete process.env.HEALTH_SECRET_FOR_TEST
    delete process.env.LD_LIBRARY_PATH
  })

  test('that takes too long is ended with what it started', async () => {
    const file = join(folder(), 'pid')
    const script = `
      const child = require('child_process').spawn(process.execPath, ['-e', "process.on('SIGTERM', () => {}); process.stdout.write('x'); setInterval(() => {}, 1000)"], { stdio: ['ignore', 'pipe', 'ignore'] })
      child.stdout.once('data', () => require('fs').writeFileSync(process.argv[1], String(child.pid)))
      setInterval(() => {}, 1000)`
    const [fact] = await perform(
      { rebootCommand: node(script, file), rebootTimeoutSeconds: 2 },
      order('reboot', null),
    )
    expect(fact).toMatchObject({
      type: 'node.reboot.ended',
      passed: false,
      detail: 'ended after 2 s',
    })
    const pid = Number(readFileSync(file, 'utf8'))
    while (isRunning(pid)) await new Promise((resolve) => setTimeout(resolve, 10))
  })

  test('that is under way when we end is ended, and none is begun after it', async () => {
    const end = new AbortController()
    const marks = folder()
    const mark = join(marks, 'begun')
    const facts: NodeEvent[] = []
    const remediation = new Remediation({
      clock,
      port: createCommandPort({
        clock,
        signal: end.signal,
        resetCommand: node(
          'require("fs").appendFileSync(process.argv[1], "x"); setInterval(() => {}, 1000)',
          mark,
        ),
      }),
      report: (fact) => facts.push(fact),
    })
    remediation.perform(order('reset'))
    remediation.perform(order('reset', 'GPU-2', 'reset:n:2'))
    await expect.poll(() => readdirSync(marks)).toEqual(['begun'])
    end.abort()
    await remediation.close()
    expect(facts).toMatchObject([
      { passed: false, detail: 'ended because we end' },
      { passed: false, detail: 'ended because we end' },
    ])
    expect(readFileSync(mark, 'utf8')).toBe('x')
  })

  test('that is not configured is a failure with a sentence; without a check nobody waits for one', async () => {
    expect(
      await perform({}, order('reset'), order('reboot', null), order('validate')),
    ).toMatchObject([
      { type: 'node.reset.ended', passed: false, detail: 'no reset command is configured' },
      { type: 'node.reboot.ended', passed: false, detail: 'no reboot command is configured' },
    ])
  })
})

describe('orders', () => {
  /** A port that writes down what happens. */
  function noted(
    log: string[],
    reset: () => Promise<{ passed: boolean; detail: string }>,
  ): RemedyPort {
    const done = (what: string) => () => {
      log.push(what)
      return Promise.resolve()
    }
    return {
      canReset: true,
      canReboot: true,
      canValidate: true,
      cordon: done('cordon'),
      uncordon: done('uncordon'),
      retire: done('retire'),
      escalate: done('escalate'),
      reset: () => {
        log.push('reset')
        return reset()
      },
      reboot: () => Promise.reject(new Error('not today')),
      validate: () => Promise.resolve({ passed: true, detail: '' }),
    }
  }
  const telemetry = (log: string[]) => ({
    suspend: async () => {
      await Promise.resolve()
      log.push('suspended')
    },
    resume: () => void log.push('resumed'),
  })

  test('our own source lets go before a reset, and takes the devices again whatever happens', async () => {
    const log: string[] = []
    const facts: NodeEvent[] = []
    const remediation = new Remediation({
      clock,
      port: noted(log, () => Promise.reject(new Error('driver says no'))),
      telemetry: telemetry(log),
      report: (fact) => facts.push(fact),
    })
    remediation.perform(order('cordon', null))
    remediation.perform(order('reset'))
    remediation.perform(order('escalate'))
    await remediation.idle
    expect(log).toEqual(['cordon', 'suspended', 'reset', 'resumed', 'escalate'])
    expect(facts).toMatchObject([
      { type: 'node.reset.ended', passed: false, detail: 'driver says no' },
    ])
  })

  test('a device that our own source does not let go of is not reset', async () => {
    const log: string[] = []
    const facts: NodeEvent[] = []
    const remediation = new Remediation({
      clock,
      port: noted(log, () => Promise.resolve({ passed: true, detail: '' })),
      telemetry: {
        suspend: () => Promise.reject(new Error('its process cannot be ended')),
        resume: () => void log.push('resumed'),
      },
      report: (fact) => facts.push(fact),
    })
    remediation.perform(order('reset'))
    await remediation.idle
    expect(log).toEqual(['resumed'])
    expect(facts).toMatchObject([
      { type: 'node.reset.ended', passed: false, detail: 'its process cannot be ended' },
    ])
  })

  test('one at a time, each once, none after the end', async () => {
    const log: string[] = []
    let release: () => void = () => {}
    const slow = new Promise<{ passed: boolean; detail: string }>((resolve) => {
      release = () => resolve({ passed: true, detail: '' })
    })
    const facts: NodeEvent[] = []
    const remediation = new Remediation({
      clock,
      port: noted(log, () => slow),
      report: (fact) => facts.push(fact),
    })
    remediation.perform(order('reset'))
    remediation.perform(order('reset'))
    remediation.perform(order('reset', 'GPU-2', 'reset:n:2'))
    await Promise.resolve()
    await Promise.resolve()
    expect(log).toEqual(['reset'])
    release()
    await remediation.close()
    expect(log).toEqual(['reset', 'reset'])
    remediation.perform(order('reset', 'GPU-1', 'reset:n:3'))
    await remediation.idle
    expect(facts.map((fact) => 'answers' in fact && fact.answers)).toEqual([
      'reset:n:1',
      'reset:n:2',
    ])
  })

  test('a port that fails where nobody waits is a sentence in the log', async () => {
    const warnings: string[] = []
    const port = {
      ...noted([], () => Promise.reject(new Error('x'))),
      cordon: () => Promise.reject(new Error('no such node')),
    }
    const remediation = new Remediation({
      clock,
      port,
      report: () => {},
      warn: (text) => warnings.push(text),
    })
    remediation.perform(order('cordon', null))
    await remediation.idle
    expect(warnings).toEqual(['cordon of node n failed: no such node'])
  })
})

test('an escalation leaves a file that a person can read, for us alone, and not too many', async () => {
  const policy = resolveNodePolicy()
  let decided = 0
  const nodes = new Nodes({ seed: 1 })
  const env = { policy, nextDecision: () => ++decided }
  const step = nodes.step(
    {
      type: 'gpu.sampled',
      at: 0,
      node: '../local',
      devices: [{ uuid: 'GPU-1', rowRemapFailed: true }],
    },
    env,
  )
  const effect = step.effects.find(({ type }) => type === 'evidence') as {
    command: string
    evidence: NodeEvidence
  }
  const evidenceDir = join(folder(), 'evidence')
  const remediation = new Remediation({
    clock,
    port: createCommandPort({ clock, evidenceDir }),
    report: () => {},
  })
  const command = step.commands.find(({ id }) => id === effect.command) as NodeCommand
  remediation.perform(command, effect.evidence)
  await remediation.idle
  const [file] = readdirSync(evidenceDir)
  expect(file).toMatch(/^escalation-[\dTZ-]+-.._local\.json$/)
  expect(statSync(join(evidenceDir, file!)).mode & 0o777).toBe(0o600)
  expect(JSON.parse(readFileSync(join(evidenceDir, file!), 'utf8'))).toMatchObject({
    node: { id: '../local', state: 'escalated', cordonedBy: 'remap.failed' },
    faults: [{ rule: 'remap.failed', device: 'GPU-1' }],
    devices: [{ uuid: 'GPU-1', raised: ['remap.failed'], sample: { rowRemapFailed: true } }],
  })
})

/** Running, and not only waiting to be collected. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

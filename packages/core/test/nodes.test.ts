/** Stories of nodes: what telemetry and people say, and what follows from it. */
import { describe, expect, test } from 'vitest'
import { Nodes } from '../src/nodes.ts'
import { World, EVERY } from './nodes-world.ts'

const MINUTE = 60_000
const DAY = 86_400_000

/** A world with one node of two devices, a runner on each. */
function pair(
  can: { reset?: boolean; reboot?: boolean; validate?: boolean } = {},
  policy: Record<string, unknown> = {},
  xid: Record<string, unknown> = {},
): World {
  const world = new World(policy, xid)
  world.node('a', 2, can)
  world.runner('r0', 'a', ['a-0'])
  world.runner('r1', 'a', ['a-1'])
  world.at = EVERY
  world.sample('a', 2)
  return world
}

let sequence = 0
const xid = (
  device: string,
  number: number,
  rest: { text?: string; pid?: number; lineage?: number[]; sequence?: number; boot?: string } = {},
) =>
  ({
    type: 'gpu.xid',
    node: 'a',
    device,
    xid: number,
    text: '',
    boot: 'boot-1',
    sequence: ++sequence,
    ...rest,
  }) as const

describe('levels', () => {
  test('a high temperature makes the node suspect, alerts, and is over when it is over', () => {
    const world = pair()
    world.run(5 * MINUTE, 'a', 2, { 'a-0': { temperatureC: 86 } })
    world.run(EVERY, 'a', 2, { 'a-0': { temperatureC: 86 } })
    expect(world.state('a')).toBe('suspect')
    expect(world.nodes.view('a')?.devices.map(({ state }) => state)).toEqual(['suspect', 'healthy'])
    expect(world.alerts).toEqual(['node.suspect'])
    expect(world.sent).toEqual([])
    world.run(3 * MINUTE, 'a', 2)
    expect(world.story).toEqual(['healthy→suspect temp.high', 'suspect→healthy temp.high'])
  })

  test('a critical temperature cordons and drains the device, waits until it is cool, proves itself, and comes back', () => {
    const world = pair()
    world.run(3 * EVERY, 'a', 2, { 'a-0': { temperatureC: 90 } })
    expect(world.state('a')).toBe('draining')
    expect(world.nodes.view('a')).toMatchObject({ cordonedBy: 'temp.critical' })
    expect(world.sent).toEqual(['drain r0'])
    expect(world.effects[1]).toEqual({
      type: 'runner.drain',
      runner: 'r0',
      replace: true,
      reason: 'node_drained',
      deadlineMs: 300_000,
      rule: 'temp.critical',
    })
    world.gone('r0')
    world.run(10 * MINUTE, 'a', 2, { 'a-0': { temperatureC: 90 } })
    expect(world.state('a')).toBe('draining')
    world.run(3 * EVERY, 'a', 2)
    expect(world.state('a')).toBe('validating')
    world.run(90_000, 'a', 2)
    expect(world.story).toEqual([
      'healthy→cordoned temp.critical',
      'cordoned→draining node.drain',
      'draining→validating node.validate',
      'validating→healthy node.uncordon',
    ])
    expect(world.orders).toEqual(['cordon', 'validate', 'uncordon'])
    expect(world.nodes.view('a')?.cordonedBy).toBeNull()
  })

  test('what does not cool down within a day needs a person', () => {
    const world = pair({}, { telemetryStalledSeconds: 100_000 })
    world.gone('r0')
    world.run(3 * EVERY, 'a', 2, { 'a-0': { temperatureC: 90 } })
    world.pass(DAY - 1)
    expect(world.state('a')).toBe('draining')
    world.pass(1)
    expect(world.state('a')).toBe('escalated')
    expect(world.alerts).toEqual(['node.cordoned', 'node.escalated'])
  })

  test('the compared readings, the facts and the orders are in the decision', () => {
    const world = pair()
    world.run(3 * EVERY, 'a', 2, { 'a-0': { temperatureC: 90 } })
    const [cordon] = world.decisions
    expect(cordon).toMatchObject({
      subject: { kind: 'node', id: 'a', incarnation: 0 },
      enforced: true,
      because: null,
    })
    expect(cordon?.compared.map(({ name, option }) => [name, option])).toEqual([
      ['temperatureC', 'tempCriticalC'],
      ['samples', 'tempCriticalSamples'],
      ['nodesOut', 'nodeBreakerPercent'],
      ['nodesFailing', 'nodeBreakerOpenPercent'],
    ])
    expect(cordon?.events).toEqual([world.seq])
    expect(cordon?.commands).toEqual([world.last('cordon')])
  })

  test('a rule in dryRun observes only, once per episode', () => {
    const world = pair({}, { dryRun: ['temp.critical', 'temp.high'] })
    world.run(20 * MINUTE, 'a', 2, { 'a-0': { temperatureC: 90 } })
    expect(world.story).toEqual([
      'healthy→healthy temp.critical !guard.dry_run',
      'healthy→healthy temp.high !guard.dry_run',
    ])
    expect([world.orders, world.sent, world.alerts]).toEqual([[], [], []])
  })

  test('a rule taken out of dryRun acts on the level that still holds, and on the next error of a device that had one', () => {
    const world = pair({}, { dryRun: ['temp.critical', 'xid'] })
    world.run(MINUTE, 'a', 2, { 'a-0': { temperatureC: 90 } })
    world.tell(xid('a-1', 79))
    world.pass(4 * MINUTE)
    expect(world.state('a')).toBe('healthy')
    world.judge({})
    world.sample('a', 2, { 'a-0': { temperatureC: 90 } })
    expect(world.nodes.view('a')).toMatchObject({ state: 'draining', cordonedBy: 'temp.critical' })
    expect(world.sent).toEqual(['drain r0'])
    world.tell(xid('a-1', 79))
    expect(world.sent).toEqual(['drain r0', 'drain r1'])
  })
})

/** The reset of the first device that was ordered last has passed. */
const resetPassed = (world: ReturnType<typeof pair>): unknown =>
  world.tell({
    type: 'node.reset.ended',
    node: 'a',
    device: 'a-0',
    passed: true,
    detail: '',
    answers: world.last('reset'),
  })

describe('the ladder', () => {
  test('drain, reset, validate, uncordon', () => {
    const world = pair({ validate: true })
    world.tell(xid('a-0', 48))
    expect(world.state('a')).toBe('draining')
    world.gone('r0')
    expect(world.state('a')).toBe('resetting')
    expect(world.orders).toEqual(['cordon', 'reset a-0'])
    resetPassed(world)
    expect(world.state('a')).toBe('validating')
    world.run(3 * MINUTE, 'a', 2)
    expect(world.state('a')).toBe('validating')
    world.tell({
      type: 'node.validate.ended',
      node: 'a',
      passed: true,
      detail: '',
      answers: world.last('validate'),
    })
    world.run(59_000, 'a', 2)
    expect(world.state('a')).toBe('validating')
    world.run(EVERY, 'a', 2)
    expect(world.state('a')).toBe('healthy')
    expect(world.effects.at(-1)).toEqual({ type: 'node.returned', node: 'a' })
    // The other device's runner was never touched.
    expect(world.sent).toEqual(['drain r0'])
  })

  test('a person who orders twice gets one reset while it runs, another one afterwards, and never a reboot', () => {
    const world = pair({ validate: true })
    const order = () => world.tell({ type: 'order.reset', node: 'a', by: 'me', device: 'a-0' })
    world.gone('r0')
    expect([order().dismissed, order().dismissed]).toEqual([null, null])
    resetPassed(world)
    expect(world.orders).toEqual(['cordon', 'reset a-0', 'validate a-0'])
    order()
    expect(world.state('a')).toBe('resetting')
    resetPassed(world)
    expect(world.orders.slice(3)).toEqual(['reset a-0', 'validate a-0'])
    expect(world.alerts).toEqual(['node.cordoned'])
  })

  test('a reboot ordered twice is one reboot', () => {
    const world = pair({ validate: true })
    const order = () => world.tell({ type: 'order.reboot', node: 'a', by: 'me' })
    world.gone('r0')
    world.gone('r1')
    order()
    order()
    world.node('a', 2, { validate: true })
    world.tell({
      type: 'node.reboot.ended',
      node: 'a',
      passed: true,
      detail: '',
      answers: world.last('reboot'),
    })
    expect(world.orders).toEqual(['cordon', 'reboot', 'validate'])
  })

  test('one source that came back does not speak for the devices of another that hangs', () => {
    const world = pair()
    world.gone('r0')
    world.tell(xid('a-0', 48))
    world.tell({
      type: 'node.reset.ended',
      node: 'a',
      device: 'a-0',
      passed: true,
      detail: '',
      answers: world.last('reset'),
    })
    world.run(EVERY, 'a', 2)
    const source = { node: 'a', detail: 'x' } as const
    world.tell({ ...source, type: 'source.failed', source: 'nvidia-smi', why: 'hung' })
    world.pass(MINUTE)
    world.tell({ ...source, type: 'source.recovered', source: 'kernel-log', why: 'recovered' })
    world.pass(10 * MINUTE)
    expect(world.nodes.view('a')?.devices.map(({ state }) => state)).toEqual(['faulty', 'unknown'])
    expect(world.state('a')).toBe('validating')
    world.tell({ ...source, type: 'source.recovered', source: 'nvidia-smi', why: 'recovered' })
    world.run(2 * MINUTE, 'a', 2)
    expect(world.state('a')).toBe('healthy')
  })

  test('memory errors that a reset did not clear prove nothing; the next remedy does', () => {
    const world = pair()
    const errors = (count: number) => ({ 'a-0': { eccVolatileUncorrected: count } })
    world.run(EVERY, 'a', 2, errors(0))
    world.run(EVERY, 'a', 2, errors(3))
    expect(world.state('a')).toBe('draining')
    world.gone('r0')
    const reset = (): void =>
      void world.tell({
        type: 'node.reset.ended',
        node: 'a',
        device: 'a-0',
        passed: true,
        detail: '',
        answers: world.last('reset'),
      })
    reset()
    world.run(10 * MINUTE, 'a', 2, errors(3))
    expect(world.state('a')).toBe('validating')
    world.run(25 * MINUTE, 'a', 2, errors(3))
    expect(world.state('a')).not.toMatch(/healthy|validating/)

    const cured = pair()
    cured.run(EVERY, 'a', 2, errors(0))
    cured.run(EVERY, 'a', 2, errors(3))
    cured.gone('r0')
    cured.tell({
      type: 'node.reset.ended',
      node: 'a',
      device: 'a-0',
      passed: true,
      detail: '',
      answers: cured.last('reset'),
    })
    cured.run(2 * MINUTE, 'a', 2, errors(0))
    expect(cured.state('a')).toBe('healthy')
  })

  test('a reset that fails: everybody leaves, reboot', () => {
    const world = pair()
    world.tell(xid('a-0', 48))
    world.gone('r0')
    world.tell({
      type: 'node.reset.ended',
      node: 'a',
      device: 'a-0',
      passed: false,
      detail: 'in use',
      answers: world.last('reset'),
    })
    expect(world.sent).toEqual(['drain r0', 'drain r1'])
    expect(world.state('a')).toBe('draining')
    world.gone('r1')
    expect(world.state('a')).toBe('rebooting')
    world.tell({
      type: 'node.reboot.ended',
      node: 'a',
      passed: false,
      detail: 'no',
      answers: world.last('reboot'),
    })
    expect(world.state('a')).toBe('escalated')
    expect(world.story.slice(2)).toEqual([
      'draining→resetting node.reset',
      'resetting→draining node.drain',
      'draining→rebooting node.reboot',
      'rebooting→escalated node.escalate',
    ])
  })

  test('resetting → rebooting → escalated at once when nobody is in the way', () => {
    const world = pair({ validate: true })
    world.gone('r0')
    world.gone('r1')
    world.tell(xid('a-0', 48))
    world.tell({ type: 'node.reset.ended', node: 'a', passed: false, detail: '' })
    expect(world.state('a')).toBe('rebooting')
    world.tell({ type: 'node.reboot.ended', node: 'a', passed: true, detail: '' })
    world.tell({ type: 'node.validate.ended', node: 'a', passed: false, detail: 'skipped' })
    expect(world.state('a')).toBe('escalated')
    expect(world.orders).toEqual(['cordon', 'reset a-0', 'reboot', 'validate', 'escalate a-0'])
    expect(world.effects.find(({ type }) => type === 'evidence')).toMatchObject({
      command: world.last('escalate'),
      evidence: {
        node: { id: 'a', state: 'escalated' },
        faults: [{ rule: 'xid', signature: 'xid.48' }],
        history: [
          { kind: 'reset', passed: false },
          { kind: 'reboot', passed: true },
        ],
      },
    })
  })

  test('a reset without an answer counts as failed', () => {
    const world = pair({ reboot: false })
    world.gone('r0')
    world.tell(xid('a-0', 48))
    expect(world.state('a')).toBe('resetting')
    world.pass(150_000)
    expect(world.state('a')).toBe('escalated')
  })

  test('no reset command: the ladder starts at escalated; no reboot command: likewise', () => {
    const without = pair({ reset: false })
    without.gone('r0')
    without.tell(xid('a-0', 48))
    expect(without.state('a')).toBe('escalated')
    const lost = pair({ reboot: false })
    lost.gone('r0')
    lost.gone('r1')
    lost.tell({ type: 'gpu.lost', node: 'a', device: 'a-0', detail: 'GPU is lost' })
    expect(lost.state('a')).toBe('escalated')
  })

  test('the fault that comes back while the node proves itself climbs', () => {
    const world = pair()
    world.gone('r0')
    world.gone('r1')
    world.tell(xid('a-0', 48))
    world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
    world.run(EVERY, 'a', 2)
    world.tell(xid('a-0', 48))
    expect(world.state('a')).toBe('rebooting')
    const again = pair()
    again.gone('r0')
    again.gone('r1')
    again.sample('a', 2, { 'a-0': { eccVolatileUncorrected: 0 } })
    again.run(EVERY, 'a', 2, { 'a-0': { eccVolatileUncorrected: 1 } })
    expect(again.state('a')).toBe('resetting')
    again.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
    again.run(EVERY, 'a', 2, { 'a-0': { eccVolatileUncorrected: 0 } })
    again.run(EVERY, 'a', 2, { 'a-0': { eccVolatileUncorrected: 3 } })
    expect(again.state('a')).toBe('rebooting')
  })

  test('a second device with the same fault is reset after the first, one at a time', () => {
    const world = pair()
    world.gone('r0')
    world.tell(xid('a-0', 48))
    world.tell(xid('a-1', 48))
    expect(world.state('a')).toBe('resetting')
    expect(world.sent).toEqual(['drain r1'])
    world.gone('r1')
    expect(world.orders.filter((order) => order.startsWith('reset'))).toEqual(['reset a-0'])
    world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
    expect(world.orders.filter((order) => order.startsWith('reset'))).toEqual([
      'reset a-0',
      'reset a-1',
    ])
    world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
    expect(world.state('a')).toBe('validating')
  })

  test('a failed row remap, and Xid 64, are escalated at once; the other runners stay', () => {
    for (const tell of [
      (world: World) => world.run(EVERY, 'a', 2, { 'a-0': { rowRemapFailed: true } }),
      (world: World) => world.tell(xid('a-0', 64)),
    ]) {
      const world = pair()
      tell(world)
      expect(world.state('a')).toBe('escalated')
      expect(world.sent).toEqual(['drain r0'])
      world.pass(10 * DAY)
      expect(world.state('a')).toBe('escalated')
    }
  })

  test('three failed resets within a day, in different absences: escalated before the reboot that would come next', () => {
    const world = pair()
    world.gone('r0')
    world.gone('r1')
    for (let round = 1; round <= 2; round++) {
      world.tell(xid('a-0', [48, 95][round - 1]!))
      world.tell({ type: 'node.reset.ended', node: 'a', passed: false, detail: '' })
      expect(world.state('a')).toBe('rebooting')
      world.tell({ type: 'node.reboot.ended', node: 'a', passed: true, detail: '' })
      world.run(2 * MINUTE, 'a', 2)
      expect(world.state('a')).toBe('healthy')
      world.run(10 * MINUTE, 'a', 2)
    }
    world.tell(xid('a-0', 140))
    expect(world.state('a')).toBe('resetting')
    world.tell({ type: 'node.reset.ended', node: 'a', passed: false, detail: '' })
    expect(world.state('a')).toBe('escalated')
    expect(world.decisions.at(-1)?.compared).toContainEqual({
      name: 'failedResets',
      value: 3,
      op: '>=',
      threshold: 3,
      option: 'nodeResetFailures',
    })
  })

  test('the same signature after two reboots: escalated', () => {
    const world = pair()
    world.gone('r0')
    world.gone('r1')
    for (let round = 1; round <= 2; round++) {
      world.tell(xid('a-0', 79))
      expect(world.state('a')).toBe('rebooting')
      world.tell({ type: 'node.reboot.ended', node: 'a', passed: true, detail: '' })
      world.run(DAY / 10, 'a', 2)
      expect(world.state('a')).toBe('healthy')
    }
    world.tell(xid('a-0', 79))
    expect(world.state('a')).toBe('escalated')
    expect(world.decisions.at(-1)?.compared).toContainEqual({
      name: 'rebootsOfSignature',
      value: 2,
      op: '>=',
      threshold: 2,
      option: 'nodeRebootsPerSignature',
    })
  })

  test('five remediations of a device within a week: the sixth is for a person', () => {
    const world = pair({}, { telemetryStalledSeconds: 100_000 })
    world.gone('r0')
    world.gone('r1')
    for (const number of [46, 48, 62, 95, 109]) {
      world.tell(xid('a-0', number))
      world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
      world.run(2 * MINUTE, 'a', 2)
      expect(world.state('a')).toBe('healthy')
      world.at += DAY
    }
    world.sample('a', 2)
    world.tell(xid('a-0', 110))
    expect(world.state('a')).toBe('escalated')
    expect(world.decisions.at(-1)?.compared).toContainEqual({
      name: 'remediations',
      value: 5,
      op: '>=',
      threshold: 5,
      option: 'nodeRemediations',
    })
  })

  test('a runner that cannot end does not keep the node draining for ever', () => {
    const world = pair()
    world.tell(xid('a-0', 48))
    world.pass(660_000)
    expect(world.state('a')).toBe('escalated')
  })

  test('a stale answer changes nothing', () => {
    const world = pair()
    expect(
      world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' }).dismissed,
    ).toMatch(/stale/)
    world.gone('r0')
    world.tell(xid('a-0', 48))
    expect(
      world.tell({
        type: 'node.reset.ended',
        node: 'a',
        passed: true,
        detail: '',
        answers: 'reset:a:99',
      }).dismissed,
    ).toMatch(/nobody waits/)
    expect(world.state('a')).toBe('resetting')
  })

  test('a new boot id ends a reboot', () => {
    const world = pair()
    world.gone('r0')
    world.gone('r1')
    world.tell(xid('a-0', 79))
    world.tell({
      type: 'node.configured',
      node: 'a',
      devices: ['a-0', 'a-1'],
      canReset: true,
      canReboot: true,
      canValidate: false,
      boot: 'boot-1',
    })
    expect(world.state('a')).toBe('rebooting')
    world.tell({
      type: 'node.configured',
      node: 'a',
      devices: ['a-0', 'a-1'],
      canReset: true,
      canReboot: true,
      canValidate: false,
      boot: 'boot-2',
    })
    expect(world.state('a')).toBe('validating')
  })
})

describe('what is true of a node while it lasts', () => {
  const tell: readonly [string, (world: World) => void, readonly string[]][] = [
    ['nothing', () => {}, []],
    [
      'heat',
      (world) => world.run(6 * MINUTE, 'a', 2, { 'a-0': { temperatureC: 86 } }),
      ['node.suspect'],
    ],
    ['an unknown Xid is of its moment', (world) => world.tell(xid('a-0', 999)), []],
    [
      'a person’s cordon',
      (world) => world.tell({ type: 'order.cordon', node: 'a', by: 'ann' }),
      ['node.cordoned'],
    ],
    ['a node that drains', (world) => world.tell(xid('a-0', 48)), ['node.cordoned']],
    [
      'a fault that the breaker withholds',
      (world) => {
        world.node('b', 1)
        world.tell({ ...xid('b-0', 48), node: 'b' })
        world.tell(xid('a-0', 48))
      },
      ['node.cordoned'],
    ],
    ['a source that is silent', (world) => world.pass(MINUTE), ['telemetry.unknown']],
    [
      'a node for people that nobody can see',
      (world) => {
        world.tell({ type: 'order.escalate', node: 'a', by: 'ann' })
        world.pass(MINUTE)
      },
      ['node.escalated', 'telemetry.unknown'],
    ],
    [
      'one that was handed over',
      (world) => {
        world.tell({ type: 'order.retire', node: 'a', by: 'ann' })
        world.pass(MINUTE)
      },
      [],
    ],
  ]
  test.for(tell)('%s', ([, happens, expected]) => {
    const world = pair()
    happens(world)
    expect(world.nodes.alerts('a')).toEqual(expected)
    expect(Nodes.restore(world.nodes.snapshot()).alerts('a')).toEqual(expected)
  })
})

describe('Xids', () => {
  const to = (action: string): string => `GPU recovery action changed from 0x0 (None) to ${action}`

  test('an application error ends the runner on the device, nothing else', () => {
    const world = pair()
    world.tell(xid('a-0', 31))
    expect(world.sent).toEqual(['fault r0 xid'])
    expect(world.effects[1]).toEqual({
      type: 'device.fault',
      node: 'a',
      device: 'a-0',
      runner: 'r0',
      doubt: false,
      rule: 'xid',
    })
    expect(world.state('a')).toBe('healthy')
  })

  test('the process that the driver names is blamed, when it is a runner of the node', () => {
    const world = pair()
    world.pids = { 4711: 'r1', 4712: 'elsewhere' }
    world.tell(xid('a-0', 13, { pid: 4711 }))
    world.tell(xid('a-0', 31, { pid: 4712 }))
    world.tell(xid('a-0', 32, { pid: 1 }))
    expect(world.sent).toEqual(['fault r1 xid', 'fault r0 xid', 'fault r0 xid'])
  })

  test('a worker’s error is blamed on the runner that started it, somebody else’s process on nobody', () => {
    const world = pair()
    world.pids = { 4711: 'r1' }
    world.tell(xid('a-0', 13, { pid: 9001, lineage: [9000, 4711, 300] }))
    expect(world.sent).toEqual(['fault r1 xid'])
    world.tell(xid('a-0', 31, { pid: 9002, lineage: [700, 701] }))
    world.tell(xid('a-0', 31, { pid: 9003, lineage: [] }))
    expect(world.sent).toEqual(['fault r1 xid'])
    // Nobody’s error is not two runners’ error, whatever the holder of the device does next.
    world.run(4 * MINUTE, 'a', 2)
    world.tell(xid('a-0', 31))
    expect(world.sent).toEqual(['fault r1 xid', 'fault r0 xid'])
    expect(world.state('a')).toBe('healthy')
    // What the device itself did wrong takes it out of service, whoever used it.
    world.tell(xid('a-0', 48, { pid: 9002, lineage: [700] }))
    expect(world.state('a')).toBe('draining')
  })

  test('the same application error twice in a day under different runners drains the device', () => {
    const world = pair()
    world.tell(xid('a-0', 31))
    world.gone('r0')
    world.runner('r2', 'a', ['a-0'])
    world.run(MINUTE, 'a', 2)
    world.tell(xid('a-0', 31))
    expect(world.state('a')).toBe('draining')
    expect(world.sent).toEqual(['fault r0 xid', 'fault r2 xid', 'drain r2'])
    world.gone('r2')
    expect(world.state('a')).toBe('validating')
  })

  test.for([
    ['under the same runner', 'r0', MINUTE * 10],
    ['after more than a day', 'r2', DAY + 1],
  ] as const)('not %s', ([, runner, later]) => {
    const world = pair({}, { telemetryStalledSeconds: 200_000 })
    world.tell(xid('a-0', 31))
    world.gone('r0')
    world.runner(runner, 'a', ['a-0'])
    world.at += later
    world.tell(xid('a-0', 31))
    expect(world.state('a')).toBe('healthy')
  })

  test('equal faults within three minutes are one; silence must be as long', () => {
    const world = pair()
    world.tell(xid('a-0', 31))
    for (let i = 0; i < 5; i++) {
      world.at += 2 * MINUTE
      world.tell(xid('a-0', 31))
    }
    expect(world.sent).toEqual(['fault r0 xid'])
    world.at += 3 * MINUTE
    world.tell(xid('a-0', 31))
    expect(world.sent).toEqual(['fault r0 xid', 'fault r0 xid'])
  })

  test('a sequence that was told before acts once, also after other boots', () => {
    const world = pair()
    const first = xid('a-0', 31, { sequence: 100, boot: 'x' })
    world.tell(first)
    world.at += 4 * MINUTE
    expect(world.tell(first).dismissed).toMatch(/before/)
    expect(world.tell(xid('a-0', 31, { sequence: 99, boot: 'x' })).dismissed).toMatch(/before/)
    expect(world.tell(xid('a-0', 31, { sequence: 1, boot: 'y' })).dismissed).toBeNull()
    expect(world.nodes.cursor('a', 'x')).toBe(100)
    expect(world.nodes.cursor('a', 'z')).toBeNull()
  })

  test('an unknown Xid alerts, nothing more', () => {
    const world = pair()
    world.tell(xid('a-0', 7777, { text: 'Fatal something' }))
    expect([world.state('a'), world.alerts, world.story]).toEqual(['healthy', ['node.suspect'], []])
    expect(world.nodes.view('a')?.devices[0]).toMatchObject({ state: 'healthy', lastXid: 7777 })
  })

  test('an alert says what it is about, so that a second trouble of a node is no repetition', () => {
    const world = pair()
    world.run(6 * MINUTE, 'a', 2, { 'a-0': { temperatureC: 86 } })
    world.tell(xid('a-1', 7777))
    world.tell(xid('a-1', 8888))
    world.tell(xid('a-1', 79))
    expect(
      world.commands.flatMap((command) =>
        command.type === 'alert' ? [`${command.name} ${command.about}`] : [],
      ),
    ).toEqual([
      'node.suspect temp.high a-0',
      'node.suspect xid.7777 a-1',
      'node.suspect xid.8888 a-1',
      'node.cordoned xid.79 a-1',
    ])
  })

  test('an override of the operator decides', () => {
    const world = pair({}, {}, { 31: 'reset', 79: 'alert' })
    world.tell(xid('a-1', 79))
    expect(world.state('a')).toBe('healthy')
    world.tell(xid('a-0', 31))
    expect(world.state('a')).toBe('draining')
  })

  test('an error that comes back after the reset of its device is a new one, also while another device is reset', () => {
    const world = pair()
    world.gone('r0')
    world.gone('r1')
    world.tell(xid('a-0', 48))
    world.tell(xid('a-1', 48))
    world.pass(5_000)
    world.tell({ type: 'node.reset.ended', node: 'a', device: 'a-0', passed: true, detail: '' })
    world.pass(5_000)
    world.tell(xid('a-0', 48))
    world.tell({ type: 'node.reset.ended', node: 'a', device: 'a-1', passed: true, detail: '' })
    expect(world.orders).toEqual(['cordon', 'reset a-0', 'reset a-1', 'reboot'])
  })

  test('a fatal text of a human class cordons, drains nobody, and stays until a person uncordons', () => {
    const world = pair()
    world.tell(xid('a-0', 54, { text: 'Fatal: power' }))
    expect([world.state('a'), world.sent]).toEqual(['cordoned', []])
    world.tell({ type: 'order.uncordon', node: 'a', by: 'ann' })
    expect(world.state('a')).toBe('validating')
    world.run(2 * MINUTE, 'a', 2)
    expect(world.state('a')).toBe('healthy')
  })

  test('the kernel names a device by its PCI address', () => {
    const world = pair()
    world.tell(xid('pci:0000:01:00', 31))
    expect(world.sent).toEqual(['fault r1 xid'])
  })

  test('before it was ever sampled too: it is recognised later, and never a place for a runner', () => {
    const world = new World()
    world.node('a', 0)
    world.tell(xid('pci:0000:01:00', 13))
    expect(world.nodes.place(1)).toBeNull()
    world.sample('a', 2)
    expect(world.nodes.view('a')?.devices.map(({ uuid, lastXid }) => [uuid, lastXid])).toEqual([
      ['a-0', undefined],
      ['a-1', 13],
    ])
  })

  test('what the driver asks for of it settles under its name', () => {
    const world = new World()
    world.node('a', 0)
    world.tell(xid('pci:0000:01:00', 154, { text: to('0x2 (Node Reboot Required)') }))
    world.pass(1_000)
    world.sample('a', 2)
    world.pass(1_000)
    expect(world.decisions[0]).toMatchObject({ rule: 'recovery', to: 'cordoned' })
    expect(world.orders).toEqual(['cordon', 'reboot'])
  })

  test('one that the kernel spoke of and no sample has named yet is not missing', () => {
    const world = new World()
    world.node('a', 1)
    world.tell(xid('pci:0000:01:00', 13))
    world.run(5 * EVERY, 'a', 1)
    expect(world.state('a')).toBe('healthy')
    world.sample('a', 2)
    expect(world.nodes.view('a')?.devices[1]).toMatchObject({ uuid: 'a-1', lastXid: 13 })
  })

  test('one that nobody can name is not reset under somebody’s runner: everybody leaves first, and all are reset', () => {
    const world = pair()
    world.tell(xid('pci:0000:09:00', 48))
    expect(world.orders).toEqual(['cordon'])
    expect(world.sent).toEqual(['drain r0', 'drain r1'])
    expect(world.commands.find(({ type }) => type === 'alert')).toMatchObject({
      text: expect.stringContaining('pci:0000:09:00'),
    })
    world.gone('r0')
    world.gone('r1')
    world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
    world.run(2 * MINUTE, 'a', 2)
    expect(world.orders).toEqual(['cordon', 'reset', 'validate', 'uncordon'])
  })

  test('and what the driver takes back of it is over', () => {
    const world = pair()
    world.tell(xid('pci:0000:09:00', 154, { text: to('0x4 (Drain and Reset)') }))
    world.pass(2_000)
    expect(world.state('a')).toBe('draining')
    world.tell(
      xid('pci:0000:09:00', 154, {
        text: 'GPU recovery action changed from 0x4 (Drain and Reset) to 0x0 (None)',
      }),
    )
    expect(world.state('a')).toBe('validating')
  })

  test('nor does a reset of all name it', () => {
    const world = pair()
    world.gone('r0')
    world.gone('r1')
    world.tell(xid('pci:0000:09:00', 13))
    world.tell({ type: 'order.reset', node: 'a', by: 'ann' })
    for (let i = 0; i < 3; i++)
      world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
    expect(world.orders).toEqual(['cordon', 'reset a-0', 'reset a-1', 'validate'])
  })

  test('Xid 154 has the last word, once it has settled', () => {
    const world = pair()
    world.tell(
      xid('a-0', 154, {
        text: 'GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)',
      }),
    )
    world.pass(300)
    world.tell(
      xid('a-0', 154, {
        text: 'GPU recovery action changed from 0x4 (Drain and Reset) to 0x1 (GPU Reset Required)',
      }),
    )
    world.pass(1_999)
    expect(world.state('a')).toBe('healthy')
    world.pass(1)
    expect(world.state('a')).toBe('draining')
    expect(world.sent).toEqual(['fault r0 recovery', 'drain r0'])
    expect(world.decisions[0]).toMatchObject({ rule: 'recovery' })
  })

  test('each device’s recovery action settles for itself, also where no sample tells of it', () => {
    const world = pair()
    world.tell(xid('a-0', 154, { text: to('0x4 (Drain and Reset)') }))
    world.pass(1_000)
    world.tell(xid('a-1', 154, { text: to('0x4 (Drain and Reset)') }))
    world.pass(2_000)
    expect(world.sent).toEqual(['drain r0', 'drain r1'])
  })

  test.for([
    [5_000, 'settled while another device is reset'],
    [0, 'not settled when the reset of another device ends'],
  ] as const)('a recovery action %i ms old, %s, is not forgotten', ([age]) => {
    const world = pair()
    world.tell(xid('a-0', 48))
    world.gone('r0')
    world.pass(10_000)
    world.tell(xid('a-1', 154, { text: to('0x2 (Node Reboot Required)') }))
    world.pass(age)
    world.tell({ type: 'node.reset.ended', node: 'a', device: 'a-0', passed: true, detail: '' })
    world.pass(5_000)
    world.gone('r1')
    expect(world.orders.filter((order) => order !== 'validate a-0')).toEqual([
      'cordon',
      'reset a-0',
      'reboot',
    ])
  })

  test('what the driver says of a device while that is reset is part of the reset', () => {
    const world = pair()
    world.tell(xid('a-0', 48))
    world.gone('r0')
    world.tell(xid('a-0', 154, { text: to('0x1 (GPU Reset Required)') }))
    world.pass(1_000)
    world.tell({ type: 'node.reset.ended', node: 'a', device: 'a-0', passed: true, detail: '' })
    world.run(2 * MINUTE, 'a', 2)
    expect(world.state('a')).toBe('healthy')
  })

  test('drain and reset lets work end first; the driver may take it back', () => {
    const world = pair()
    world.run(2 * EVERY, 'a', 2, { 'a-0': { recoveryAction: 'drain_reset' } })
    expect(world.sent).toEqual(['drain r0'])
    world.run(EVERY, 'a', 2, { 'a-0': { recoveryAction: 'none' } })
    expect(world.state('a')).toBe('validating')
  })
})

describe('lost devices and sources', () => {
  test('a lost device ends its runner as a fact and reboots the node', () => {
    const world = pair()
    const lost = { type: 'gpu.lost', node: 'a', device: 'a-0', detail: 'GPU is lost' } as const
    world.tell(lost)
    expect(world.tell(lost).dismissed).toMatch(/lost already/)
    expect(world.sent).toEqual(['fault r0 lost', 'drain r0', 'drain r1'])
    expect(world.nodes.view('a')?.devices[0]?.state).toBe('lost')
    // What is lost is missing in the samples too.
    for (let n = 0; n < 5; n++)
      world.tell({ type: 'gpu.sampled', node: 'a', devices: [{ uuid: 'a-1', index: 1 }] })
    expect(world.sent).toEqual(['fault r0 lost', 'drain r0', 'drain r1'])
    world.gone('r0')
    world.gone('r1')
    expect(world.state('a')).toBe('rebooting')
  })

  test('a device that is only missing is lost after three samples', () => {
    const world = pair()
    world.at += EVERY
    world.sample('a', 1)
    world.at += EVERY
    world.sample('a', 1)
    expect(world.state('a')).toBe('healthy')
    world.at += EVERY
    world.sample('a', 1)
    expect(world.state('a')).toBe('draining')
    expect(world.decisions[0]).toMatchObject({
      rule: 'lost',
      compared: [{ name: 'absent', value: 3, option: 'lostSamples' }, {}, {}],
    })
  })

  test('a device that a sample names twice is one: it is judged once, and hides none that is missing', () => {
    const world = pair()
    const hot = { uuid: 'a-0', temperatureC: 90 }
    for (let i = 0; i < 2; i++) {
      world.at += EVERY
      world.tell({ type: 'gpu.sampled', node: 'a', devices: [hot, hot] })
    }
    expect(world.state('a')).toBe('healthy')
    world.at += EVERY
    world.tell({ type: 'gpu.sampled', node: 'a', devices: [hot, hot] })
    expect(world.sent).toEqual(['drain r0', 'fault r1 lost', 'drain r1'])
  })

  test('nor is one more device waited for than there are', () => {
    const world = new World()
    world.tell({
      type: 'node.configured',
      node: 'a',
      devices: [],
      canReset: true,
      canReboot: true,
      canValidate: false,
    })
    const one = { uuid: 'GPU-0', temperatureC: 50 }
    world.tell({ type: 'gpu.sampled', node: 'a', devices: [one, one] })
    world.tell({ type: 'order.reset', node: 'a', by: 'ann' })
    world.tell({ type: 'node.reset.ended', node: 'a', device: 'GPU-0', passed: true, detail: '' })
    for (let i = 0; i < 8; i++) {
      world.at += EVERY
      world.tell({ type: 'gpu.sampled', node: 'a', devices: [one] })
    }
    expect(world.state('a')).toBe('healthy')
  })

  test('validation waits until all devices are there again', () => {
    const world = pair()
    world.gone('r0')
    world.gone('r1')
    world.tell({ type: 'gpu.lost', node: 'a', device: 'a-1', detail: '' })
    world.tell({ type: 'node.reboot.ended', node: 'a', passed: true, detail: '' })
    world.run(EVERY, 'a', 1)
    world.run(MINUTE, 'a', 2)
    expect(world.state('a')).toBe('validating')
    world.run(EVERY, 'a', 2)
    expect(world.state('a')).toBe('healthy')
  })

  test('a dead source makes devices unknown, alerts, and ends nothing', () => {
    const world = pair()
    world.tell({
      type: 'source.failed',
      node: 'a',
      source: 'nvml',
      why: 'hung',
      detail: 'no line for 30 s',
    })
    expect(world.nodes.view('a')?.devices.map(({ state }) => state)).toEqual(['unknown', 'unknown'])
    expect([world.state('a'), world.alerts, world.story, world.sent]).toEqual([
      'healthy',
      ['telemetry.unknown'],
      [],
      [],
    ])
    world.tell({
      type: 'source.recovered',
      node: 'a',
      source: 'nvml',
      why: 'recovered',
      detail: '',
    })
    world.sample('a', 2)
    expect(world.nodes.view('a')?.devices[0]?.state).toBe('healthy')
  })

  test('silence is noticed without anybody reporting it', () => {
    const world = pair()
    world.pass(30_000)
    expect(world.alerts).toEqual([])
    world.pass(1)
    expect(world.alerts).toEqual(['telemetry.unknown'])
    world.pass(DAY)
    expect([world.alerts.length, world.state('a')]).toEqual([1, 'healthy'])
    world.sample('a', 2)
    expect(world.nodes.view('a')?.devices[0]?.state).toBe('healthy')
  })

  test('placement skips a node unknown for long only when told so', () => {
    for (const [telemetryUnknownWaitSeconds, expected] of [
      [0, 'a'],
      [120, undefined],
    ] as const) {
      const world = new World({ telemetryUnknownWaitSeconds })
      world.node('a', 2)
      world.sample('a', 2)
      world.pass(200_000)
      expect(world.nodes.place(1, world.at, world.policy)?.node).toBe(expected)
    }
  })

  test('a source that cannot be killed is the driver: reboot', () => {
    const world = pair()
    world.gone('r0')
    world.gone('r1')
    world.tell({
      type: 'source.failed',
      node: 'a',
      source: 'nvml',
      why: 'unkillable',
      detail: 'pid 77',
    })
    expect(world.state('a')).toBe('rebooting')
    expect(world.decisions[0]?.rule).toBe('driver.hung')
  })

  describe('a driver that hung is over when the node has booted again, whoever did that', () => {
    const boots = (world: World): void => {
      world.tell({
        type: 'node.configured',
        node: 'a',
        devices: ['a-0', 'a-1'],
        canReset: true,
        canReboot: true,
        canValidate: false,
        boot: 'boot-2',
      })
    }
    const hangs = (world: World): void => {
      world.tell({
        type: 'source.failed',
        node: 'a',
        source: 'nvml',
        why: 'unkillable',
        detail: 'pid 7',
      })
    }
    test('while its runners left: it proves itself, and is not booted a second time', () => {
      const world = pair()
      hangs(world)
      boots(world)
      world.gone('r0')
      world.gone('r1')
      world.run(2 * MINUTE, 'a', 2)
      expect(world.orders).toEqual(['cordon', 'validate', 'uncordon'])
    })

    test('while the breaker withheld it: nothing is left to do', () => {
      const world = pair()
      world.node('b', 1)
      world.node('c', 1)
      world.tell({ ...xid('b-0', 48), node: 'b' })
      hangs(world)
      boots(world)
      expect(world.state('a')).toBe('healthy')
      world.clear()
      world.tell({ type: 'order.retire', node: 'b', by: 'ann' })
      expect(world.sent).toEqual([])
    })
  })

  test('devices that come and go during a reset are not lost', () => {
    const world = pair()
    world.gone('r0')
    world.tell(xid('a-0', 48))
    expect(world.state('a')).toBe('resetting')
    world.run(50_000, 'a', 0)
    world.tell({ type: 'gpu.lost', node: 'a', device: 'a-0', detail: '' })
    world.tell({ type: 'source.failed', node: 'a', source: 'nvml', why: 'exited', detail: '' })
    expect([world.state('a'), world.alerts]).toEqual(['resetting', ['node.cordoned']])
  })
})

describe('remap pending', () => {
  const pending = { 'a-0': { rowRemapPending: true } }

  test('waits for an idle device', () => {
    const world = pair()
    world.run(EVERY, 'a', 2, pending)
    expect([world.state('a'), world.sent]).toEqual(['suspect', []])
    world.run(60 * MINUTE, 'a', 2, pending)
    expect(world.state('a')).toBe('suspect')
    world.gone('r0')
    expect(world.state('a')).toBe('resetting')
  })

  test('but not longer than a day', () => {
    const world = pair({}, { telemetryStalledSeconds: 200_000 })
    world.run(EVERY, 'a', 2, pending)
    world.pass(DAY - 1)
    expect(world.state('a')).toBe('suspect')
    world.pass(1)
    expect([world.state('a'), world.sent]).toEqual(['draining', ['drain r0']])
  })

  test('each device its own day, whichever was found last', () => {
    const world = pair()
    world.sample('a', 2, pending)
    world.run(23 * 60 * MINUTE, 'a', 2, pending)
    world.run(59 * MINUTE, 'a', 2, { ...pending, 'a-1': { rowRemapPending: true } })
    expect(world.sent).toEqual([])
    world.run(2 * MINUTE, 'a', 2, { ...pending, 'a-1': { rowRemapPending: true } })
    expect(world.sent).toEqual(['drain r0'])
  })

  test('and is over when somebody else reset the device', () => {
    const world = pair()
    world.run(EVERY, 'a', 2, pending)
    world.run(EVERY, 'a', 2, { 'a-0': { rowRemapPending: false } })
    expect(world.state('a')).toBe('healthy')
  })
})

describe('orders of people', () => {
  const order = (
    world: World,
    type: 'cordon' | 'uncordon' | 'drain-node' | 'reset' | 'reboot' | 'escalate' | 'retire',
    device?: string,
  ) =>
    world.tell({
      type: `order.${type}`,
      node: 'a',
      by: 'ann',
      ...(device === undefined ? {} : { device }),
    })

  test('cordon and uncordon', () => {
    const world = pair()
    order(world, 'cordon')
    expect(world.nodes.view('a')).toMatchObject({
      state: 'cordoned',
      cordonedBy: 'ann',
      runners: ['r0', 'r1'],
    })
    expect(world.nodes.place(0)?.node).not.toBe('a')
    world.run(60 * MINUTE, 'a', 2)
    expect(world.state('a')).toBe('cordoned')
    order(world, 'uncordon')
    expect(world.story).toEqual([
      'healthy→cordoned order.cordon',
      'cordoned→healthy order.uncordon',
    ])
  })

  test('a level that went on while it was cordoned makes it suspect again', () => {
    const world = pair()
    world.run(6 * MINUTE, 'a', 2, { 'a-0': { temperatureC: 86 } })
    order(world, 'cordon')
    order(world, 'uncordon')
    expect(world.state('a')).toBe('suspect')
    world.run(3 * MINUTE, 'a', 2)
    expect(world.state('a')).toBe('healthy')
  })

  describe('who only cordons sends nobody away', () => {
    test.for(['before the fault', 'while its device is reset'] as const)('%s', (when) => {
      const world = pair()
      if (when === 'before the fault') order(world, 'cordon')
      world.tell(xid('a-0', 48))
      world.gone('r0')
      if (when !== 'before the fault') order(world, 'cordon')
      world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
      world.run(5 * MINUTE, 'a', 2)
      expect(world.sent).toEqual(['drain r0'])
      expect(world.nodes.view('a')).toMatchObject({ state: 'cordoned', runners: ['r1'] })
      order(world, 'uncordon')
      expect(world.state('a')).toBe('validating')
      world.run(2 * MINUTE, 'a', 2)
      expect(world.state('a')).toBe('healthy')
    })

    test('nor does a rule that only cordons', () => {
      const world = pair()
      world.tell(xid('a-1', 54, { text: 'Fatal' }))
      world.run(3 * EVERY, 'a', 2, { 'a-0': { temperatureC: 90 } })
      world.gone('r0')
      world.run(5 * MINUTE, 'a', 2)
      expect(world.sent).toEqual(['drain r0'])
      expect(world.nodes.view('a')).toMatchObject({ state: 'cordoned', runners: ['r1'] })
    })

    test('and a node that cooled down meanwhile is nothing for people a day later', () => {
      const world = pair()
      world.gone('r1')
      world.run(3 * EVERY, 'a', 2, { 'a-0': { temperatureC: 90 } })
      world.gone('r0')
      order(world, 'cordon')
      world.run(2 * DAY, 'a', 2)
      expect(world.state('a')).toBe('cordoned')
    })

    test('who drains wants it empty, whatever is repaired meanwhile, over a restart too', () => {
      const world = pair()
      world.tell(xid('a-0', 48))
      world.gone('r0')
      order(world, 'drain-node')
      world.nodes = Nodes.restore(world.nodes.snapshot())
      world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
      world.gone('r1')
      world.run(2 * DAY, 'a', 2)
      expect(world.sent).toEqual(['drain r0', 'drain r1'])
      expect(world.state('a')).toBe('draining')
    })
  })

  test('drain cordons first: two decisions; it stays until a person says otherwise', () => {
    const world = pair()
    order(world, 'drain-node')
    expect(world.story).toEqual(['healthy→cordoned order.cordon', 'cordoned→draining order.drain'])
    expect(world.sent).toEqual(['drain r0', 'drain r1'])
    world.gone('r0')
    world.gone('r1')
    world.run(2 * DAY, 'a', 2)
    expect(world.state('a')).toBe('draining')
    order(world, 'uncordon')
    expect(world.state('a')).toBe('healthy')
  })

  test('reset of one device, of all, and of one that is not there', () => {
    const world = pair()
    expect(order(world, 'reset', 'x').dismissed).toMatch(/no device x/)
    order(world, 'reset', 'a-1')
    expect(world.sent).toEqual(['drain r1'])
    world.gone('r1')
    world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
    world.run(2 * MINUTE, 'a', 2)
    expect(world.state('a')).toBe('healthy')
    world.clear()
    world.gone('r0')
    order(world, 'reset')
    world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
    world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
    expect(world.orders).toEqual(['cordon', 'reset a-0', 'reset a-1', 'validate'])
  })

  test('what cannot be done is refused with a sentence', () => {
    const world = pair({ reset: false, reboot: false })
    expect(order(world, 'reset').dismissed).toMatch(/no reset command; set gpu.resetCommand/)
    expect(order(world, 'reboot').dismissed).toMatch(/no reboot command/)
    expect(order(world, 'uncordon').dismissed).toMatch(/in service/)
    expect(world.tell({ type: 'order.cordon', node: 'b', by: 'ann' }).dismissed).toMatch(
      /no node b/,
    )
    order(world, 'retire')
    for (const type of ['cordon', 'drain-node', 'escalate', 'retire'] as const)
      expect(order(world, type).dismissed).toMatch(/retired/)
    expect(world.state('a')).toBe('retired')
    const able = pair()
    order(able, 'retire')
    for (const type of ['reset', 'reboot'] as const)
      expect(order(able, type).dismissed).toMatch(/is retired/)
    expect(able.state('a')).toBe('retired')
  })

  test('a device that fails on a node that waits for a person loses its runner, and people are told', () => {
    const world = pair()
    world.sample('a', 2, { 'a-0': { rowRemapFailed: true } })
    expect(world.state('a')).toBe('escalated')
    world.clear()
    world.tell(xid('a-1', 48))
    world.tell(xid('a-1', 48))
    expect(world.sent).toEqual(['drain r1'])
    expect(world.alerts).toEqual(['node.escalated'])
    expect(world.orders).toEqual([])
  })

  test('escalated is left by uncordon, through validating, or by retire', () => {
    const world = pair()
    order(world, 'escalate')
    expect(world.story).toEqual([
      'healthy→cordoned order.cordon',
      'cordoned→escalated order.escalate',
    ])
    expect(order(world, 'reset').dismissed).toMatch(/uncordon or retire/)
    order(world, 'uncordon')
    expect(world.state('a')).toBe('validating')
    world.run(2 * MINUTE, 'a', 2)
    expect(world.state('a')).toBe('healthy')
    order(world, 'retire')
    expect(world.state('a')).toBe('retired')
    order(world, 'uncordon')
    expect(world.state('a')).toBe('validating')
  })

  test('one that is expected is lost when another is there in its place', () => {
    const world = new World()
    world.node('a', 2)
    world.run(4 * EVERY, 'a', 2, { 'a-1': { uuid: 'a-9' } })
    expect(world.decisions[0]).toMatchObject({ rule: 'lost', to: 'cordoned' })
  })

  test('a card that was replaced or taken out is not waited for', () => {
    const world = new World()
    world.at = EVERY
    world.sample('a', 2)
    world.tell({ type: 'gpu.lost', node: 'a', device: 'a-1', detail: '' })
    expect(world.state('a')).toBe('escalated')
    world.tell({ type: 'order.uncordon', node: 'a', by: 'ann' })
    world.run(2 * MINUTE, 'a', 1)
    expect(world.state('a')).toBe('healthy')
  })

  test('an order that a rule cannot outlive: a held node stays cordoned after its proof', () => {
    const world = pair()
    order(world, 'cordon')
    world.gone('r0')
    world.gone('r1')
    world.tell(xid('a-0', 79))
    world.tell({ type: 'node.reboot.ended', node: 'a', passed: true, detail: '' })
    world.run(10 * MINUTE, 'a', 2)
    expect(['cordoned', 'draining']).toContain(world.state('a'))
    order(world, 'uncordon')
    world.run(2 * MINUTE, 'a', 2)
    expect(world.state('a')).toBe('healthy')
  })

  test('orders are not limited by counts', () => {
    const world = pair()
    world.gone('r0')
    world.gone('r1')
    for (let round = 0; round < 7; round++) {
      order(world, 'reset', 'a-0')
      world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
      world.run(2 * MINUTE, 'a', 2)
      expect(world.state('a')).toBe('healthy')
    }
  })
})

describe('the breaker', () => {
  function fleet(nodes: number): World {
    const world = new World({ telemetryStalledSeconds: 1_000_000 })
    for (let i = 0; i < nodes; i++) {
      world.node(`n${i}`, 1)
      world.runner(`r${i}`, `n${i}`, [`n${i}-0`])
    }
    return world
  }
  const fail = (world: World, node: number, number = 48): void => {
    world.tell({
      type: 'gpu.xid',
      node: `n${node}`,
      device: `n${node}-0`,
      xid: number,
      text: '',
      boot: 'b',
      sequence: ++sequence,
    })
  }
  const states = (world: World, nodes: number): string[] =>
    Array.from({ length: nodes }, (_, i) => world.state(`n${i}`)!)

  test.for([
    [1, 1],
    [4, 1],
    [5, 1],
    [9, 1],
    [10, 2],
    [15, 3],
  ] as const)('of %i nodes rules take %i at once', ([nodes, expected]) => {
    const world = fleet(nodes)
    for (let i = 0; i < nodes; i++) {
      world.at += 10 * MINUTE
      fail(world, i)
    }
    expect(states(world, nodes).filter((state) => state !== 'suspect')).toHaveLength(expected)
    const withheld = world.decisions.filter(({ because }) => because === 'node.breaker')
    expect(withheld).toHaveLength(nodes - expected)
    for (const { from, to, enforced } of withheld)
      expect([from, to, enforced]).toEqual(['healthy', 'suspect', false])
    expect(world.nodes.breakerOpenedAt).toBeNull()
  })

  test('a node that was withheld goes when another one comes back, oldest first', () => {
    const world = fleet(5)
    for (const node of [0, 3, 1]) {
      world.at += 3 * MINUTE
      fail(world, node)
    }
    expect(states(world, 5)).toEqual(['draining', 'suspect', 'healthy', 'suspect', 'healthy'])
    world.tell({ type: 'order.retire', node: 'n0', by: 'ann' })
    expect(states(world, 5)).toEqual(['retired', 'suspect', 'healthy', 'draining', 'healthy'])
  })

  test('half of the nodes within five minutes open it until a person closes it', () => {
    const world = fleet(4)
    fail(world, 0)
    fail(world, 1)
    expect(world.nodes.breakerOpenedAt).toBe(world.at)
    world.gone('r0')
    world.tell({ type: 'node.reset.ended', node: 'n0', passed: true, detail: '' })
    world.pass(2 * MINUTE)
    expect(world.state('n0')).toBe('healthy')
    // There is room, but it is open.
    fail(world, 2, 95)
    expect(states(world, 4)).toEqual(['healthy', 'suspect', 'suspect', 'healthy'])
    world.tell({ type: 'order.close-breaker', by: 'ann' })
    expect(states(world, 4)).toEqual(['healthy', 'draining', 'suspect', 'healthy'])
    expect(world.tell({ type: 'order.close-breaker', by: 'ann' }).dismissed).toMatch(/closed/)
  })

  test('two of two are no crowd, and slow failures are none either', () => {
    const two = fleet(2)
    fail(two, 0)
    fail(two, 1)
    expect(two.nodes.breakerOpenedAt).toBeNull()
    const slow = fleet(4)
    for (let node = 0; node < 4; node++) {
      fail(slow, node)
      slow.at += 5 * MINUTE
    }
    expect(slow.nodes.breakerOpenedAt).toBeNull()
  })

  describe('what it withheld goes on as soon as a person takes the node out of service', () => {
    const withheld = (): World => {
      const world = pair()
      world.node('b', 1)
      world.node('c', 1)
      world.tell({ ...xid('b-0', 48), node: 'b' })
      world.tell(xid('a-0', 48))
      expect(world.state('a')).toBe('suspect')
      world.clear()
      return world
    }
    test('by an order about another device', () => {
      const world = withheld()
      world.tell({ type: 'order.reset', node: 'a', by: 'ann', device: 'a-1' })
      expect(world.sent).toEqual(['drain r1', 'drain r0'])
      world.gone('r1')
      world.gone('r0')
      world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
      world.tell({ type: 'node.reset.ended', node: 'a', passed: true, detail: '' })
      expect(world.orders).toEqual(['cordon', 'reset a-0', 'reset a-1', 'validate'])
    })

    test.for(['order.drain-node', 'order.cordon'] as const)('by %s', (type) => {
      const world = withheld()
      world.tell({ type, node: 'a', by: 'ann' })
      expect(world.sent).toContain('drain r0')
      world.gone('r0')
      expect(world.orders).toContain('reset a-0')
    })

    test('but not on the way to a person: nothing is reset under their hands', () => {
      const world = withheld()
      world.gone('r0')
      world.tell({ type: 'order.escalate', node: 'a', by: 'ann' })
      expect(world.state('a')).toBe('escalated')
      expect(world.orders).toEqual(['cordon', 'escalate'])
    })
  })

  test('a person is not limited, and what is out already goes on', () => {
    const world = fleet(4)
    fail(world, 0)
    fail(world, 1)
    for (let node = 0; node < 4; node++)
      world.tell({ type: 'order.drain-node', node: `n${node}`, by: 'ann' })
    expect(states(world, 4)).toEqual(['draining', 'draining', 'draining', 'draining'])
    world.gone('r0')
    world.tell({ type: 'order.uncordon', node: 'n0', by: 'ann' })
    expect(world.state('n0')).not.toBe('draining')
  })
})

describe('placement', () => {
  test('the default node is there until another one is configured', () => {
    const world = new World()
    expect(world.nodes.ids()).toEqual(['local'])
    expect(world.nodes.place(0)).toEqual({ node: 'local', devices: [] })
    expect(world.nodes.place(1)).toBeNull()
    world.node('a', 1)
    expect(world.nodes.ids()).toEqual(['a'])
  })

  test('a default node that is used stays', () => {
    const world = new World()
    world.runner('r0', 'local')
    world.node('a', 1)
    expect(world.nodes.ids()).toEqual(['local', 'a'])
  })

  test('free devices of nodes in service, the fullest that has room, by index', () => {
    const world = new World({ telemetryStalledSeconds: 100_000 })
    world.node('a', 8)
    world.node('b', 4)
    world.sample('a', 8)
    world.sample('b', 4)
    expect(world.nodes.place(2)).toEqual({ node: 'b', devices: ['b-0', 'b-1'] })
    world.runner('r0', 'b', ['b-0', 'b-1', 'b-2'])
    expect(world.nodes.place(2)).toEqual({ node: 'a', devices: ['a-0', 'a-1'] })
    expect(world.nodes.place(1)).toEqual({ node: 'b', devices: ['b-3'] })
    expect(world.nodes.place(9)).toBeNull()
    world.gone('r0')
    expect(world.nodes.place(4)?.node).toBe('b')
    expect(world.nodes.homeOf('r0')).toBeNull()
  })

  test('not on cordoned nodes, not on faulty devices, suspect nodes last', () => {
    const world = new World({ telemetryStalledSeconds: 100_000, dryRun: ['remap.failed'] })
    world.node('a', 2)
    world.node('b', 2)
    world.sample('a', 2)
    world.sample('b', 2)
    world.tell({ type: 'order.cordon', node: 'a', by: 'ann' })
    expect(world.nodes.place(1)?.node).toBe('b')
    world.tell({ type: 'order.uncordon', node: 'a', by: 'ann' })
    world.run(6 * MINUTE, 'a', 2, { 'a-0': { temperatureC: 86 } })
    expect(world.state('a')).toBe('suspect')
    expect(world.nodes.place(1)?.node).toBe('b')
    world.runner('r0', 'b', ['b-0', 'b-1'])
    expect(world.nodes.place(1)?.node).toBe('a')
  })
})

describe('limits', () => {
  test('devices past the limit are ignored, facts about too many nodes dismissed', () => {
    const world = new World()
    world.at = EVERY
    world.sample('a', 80)
    expect(world.nodes.view('a')?.devices).toHaveLength(64)
    expect(world.tell(xid('a-79', 31)).dismissed).toMatch(/64 devices/)
  })

  test('64 devices are watched each for itself, also when the kernel spoke of one before it was sampled', () => {
    const world = new World({}, { 79: 'reset' })
    world.at = EVERY
    world.node('a', 0)
    for (let i = 0; i < 100; i++)
      world.tell(xid(`pci:0000:f${i % 10}:${i + 10}`, 13, { boot: `b${i}` }))
    world.tell(xid('pci:0000:63:00', 13))
    const sampled = (): void => {
      const devices = Array.from({ length: 64 }, (_, i) => ({
        uuid: `a-${i}`,
        index: i,
        pci: `0000:${String(i).padStart(2, '0')}:00`,
        temperatureC: 50,
      }))
      world.tell({ type: 'gpu.sampled', node: 'a', devices })
    }
    sampled()
    const real = (): readonly { uuid: string; state: string }[] =>
      world.nodes.view('a')!.devices.filter(({ uuid }) => !uuid.startsWith('pci:'))
    expect(real()).toHaveLength(64)
    for (let i = 0; i < 64; i++) world.runner(`r${i}`, 'a', [`a-${i}`])
    world.at += 4 * MINUTE
    sampled()
    world.tell(xid('pci:0000:63:00', 79))
    expect(world.sent).toEqual(['drain r63'])
    expect(real().filter(({ state }) => state !== 'healthy')).toMatchObject([{ uuid: 'a-63' }])
    world.gone('r63')
    expect(world.commands.at(-1)).toMatchObject({ type: 'reset', device: 'a-63' })
    expect(JSON.stringify(world.nodes.snapshot()).length).toBeLessThan(250_000)
  })

  test('a storm of Xids leaves a bounded record', () => {
    const world = pair()
    for (let i = 0; i < 1000; i++) {
      world.at += 4 * MINUTE
      world.tell(
        xid('a-0', [8, 11, 13, 25, 31, 32, 39, 40, 41, 60][i % 10]!, { boot: `boot-${i}` }),
      )
    }
    expect(JSON.stringify(world.nodes.snapshot()).length).toBeLessThan(12_000)
  })
})

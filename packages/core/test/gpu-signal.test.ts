/** Every line of the table of signals: raised, not raised a little below, released, and what a silent device is worth. */
import { describe, expect, test } from 'vitest'
import { assess, createMemory, isRaised, type DeviceMemory, type Verdict } from '../src/gpu.ts'
import { signalRules, signalTable, throttleReasons } from '../src/gpu-signal.ts'
import type { DeviceSample } from '../src/node-event.ts'
import { nodeTunables, resolveNodePolicy } from '../src/node-policy.ts'

const policy = resolveNodePolicy()
const EVERY = 10_000
const MINUTE = 60_000

type Reading = Omit<DeviceSample, 'uuid'>

/** Feeds the same reading every 10 s for a while; answers what was said, with the time since the beginning. */
function feed(
  memory: DeviceMemory,
  from: number,
  forMs: number,
  reading: Reading | ((at: number) => Reading),
): (Verdict & { after: number })[] {
  const said: (Verdict & { after: number })[] = []
  for (let at = from; at <= from + forMs; at += EVERY) {
    const now = typeof reading === 'function' ? reading(at) : reading
    for (const verdict of assess(memory, { uuid: 'GPU-1', ...now }, at, policy))
      said.push({ ...verdict, after: at - from })
  }
  return said
}

const short = (said: readonly (Verdict & { after: number })[]): string[] =>
  said.map(({ rule, raised, after }) => `${raised ? '+' : '-'}${rule}@${after / 1000}`)

interface Row {
  readonly name: string
  readonly reading: Reading | ((at: number) => Reading)
  readonly forMs: number
  readonly expected: readonly string[]
}

const counting =
  (field: 'pcieReplays' | 'nvlinkErrors', perMinute: number, rest: Reading = {}) =>
  (at: number): Reading => ({ ...rest, [field]: (at / MINUTE) * perMinute })

const rows: readonly Row[] = [
  {
    name: 'a margin of 5 for 5 min is high',
    reading: { marginC: 5, temperatureC: 40 },
    forMs: 5 * MINUTE,
    expected: ['+temp.high@300'],
  },
  {
    name: 'a margin of 6 is not',
    reading: { marginC: 6, temperatureC: 99 },
    forMs: 10 * MINUTE,
    expected: [],
  },
  {
    name: '85 °C for 5 min is high without a margin',
    reading: { temperatureC: 85 },
    forMs: 5 * MINUTE,
    expected: ['+temp.high@300'],
  },
  { name: '84 °C is not', reading: { temperatureC: 84 }, forMs: 10 * MINUTE, expected: [] },
  {
    name: "the device's own lower limit wins",
    reading: { temperatureC: 80, maxOperatingC: 80 },
    forMs: 5 * MINUTE,
    expected: ['+temp.high@300'],
  },
  {
    name: '4 min 50 s are not 5 min',
    reading: { temperatureC: 85 },
    forMs: 5 * MINUTE - EVERY,
    expected: [],
  },
  {
    name: '88 °C in 3 samples is critical',
    reading: (at) => ({ temperatureC: at < 20_000 ? 88 : 87 }),
    forMs: MINUTE,
    expected: [],
  },
  {
    name: '88 °C in 3 samples in a row is critical',
    reading: { temperatureC: 88 },
    forMs: 20_000,
    expected: ['+temp.critical@20'],
  },
  {
    name: 'its own slowdown limit comes before our number',
    reading: { temperatureC: 90, slowdownC: 95 },
    forMs: MINUTE,
    expected: [],
  },
  {
    name: 'at its slowdown limit it is critical',
    reading: { temperatureC: 95, slowdownC: 95 },
    forMs: MINUTE,
    expected: ['+temp.critical@20'],
  },
  {
    name: 'a margin at the slowdown offset is not yet critical',
    reading: { marginC: -2 },
    forMs: MINUTE,
    expected: [],
  },
  {
    name: 'a margin below it is',
    reading: { marginC: -3 },
    forMs: MINUTE,
    expected: ['+temp.critical@20'],
  },
  {
    name: 'the offset that the device reports comes before ours',
    reading: { marginC: -3, slowdownMarginC: -3 },
    forMs: MINUTE,
    expected: [],
  },
  {
    name: 'memory at its limit is critical',
    reading: { temperatureC: 50, memoryTemperatureC: 95, memoryMaxC: 95 },
    forMs: 20_000,
    expected: ['+temp.critical@20'],
  },
  {
    name: 'memory without a limit says nothing',
    reading: { temperatureC: 50, memoryTemperatureC: 120 },
    forMs: MINUTE,
    expected: [],
  },
  {
    name: 'hardware thermal slowdown in every sample of 10 min',
    reading: { throttle: 0x40 },
    forMs: 10 * MINUTE,
    expected: ['+throttle.hw@600'],
  },
  {
    name: 'power brake',
    reading: { throttle: 0x80 },
    forMs: 10 * MINUTE,
    expected: ['+throttle.hw@600'],
  },
  {
    name: 'hardware slowdown alone',
    reading: { throttle: 0x8 },
    forMs: 10 * MINUTE,
    expected: ['+throttle.hw@600'],
  },
  {
    name: 'in half of the samples it is not',
    reading: (at) => ({ throttle: (at / EVERY) % 2 === 0 ? 0x40 : 0x1 }),
    forMs: 20 * MINUTE,
    expected: [],
  },
  {
    name: 'in 2 of 3 samples it is',
    reading: (at) => ({ throttle: (at / EVERY) % 3 === 0 ? 0x1 : 0x48 }),
    forMs: 10 * MINUTE,
    expected: ['+throttle.hw@600'],
  },
  {
    name: 'counters that grow say the same',
    reading: (at) => ({ throttle: 0, throttleMs: { hw_thermal_slowdown: at } }),
    forMs: 10 * MINUTE,
    expected: ['+throttle.hw@600'],
  },
  {
    name: 'a large counter that stands still is an old story',
    reading: { throttle: 0, throttleMs: { hw_thermal_slowdown: 25_483_000 } },
    forMs: 20 * MINUTE,
    expected: [],
  },
  {
    name: 'software thermal slowdown for 30 min',
    reading: { throttle: 0x20 },
    forMs: 30 * MINUTE,
    expected: ['+throttle.sw@1800'],
  },
  {
    name: 'software thermal slowdown with one sample without',
    reading: (at) => ({ throttle: at === 15 * MINUTE ? 0 : 0x20 }),
    forMs: 40 * MINUTE,
    expected: [],
  },
  {
    name: 'software power cap never counts',
    reading: { throttle: 0x4 },
    forMs: 120 * MINUTE,
    expected: [],
  },
  {
    name: 'a low clock under load for 5 min',
    reading: { utilisationPercent: 80, smClockMHz: 980, maxSmClockMHz: 1980, throttle: 0 },
    forMs: 5 * MINUTE,
    expected: ['+clock.low@300'],
  },
  {
    name: 'half of the clock is not low',
    reading: { utilisationPercent: 80, smClockMHz: 990, maxSmClockMHz: 1980, throttle: 0 },
    forMs: 10 * MINUTE,
    expected: [],
  },
  {
    name: 'a low clock without load',
    reading: { utilisationPercent: 79, smClockMHz: 345, maxSmClockMHz: 1980, throttle: 0 },
    forMs: 10 * MINUTE,
    expected: [],
  },
  {
    name: 'a low clock by power cap',
    reading: { utilisationPercent: 99, smClockMHz: 345, maxSmClockMHz: 1980, throttle: 0x4 },
    forMs: 10 * MINUTE,
    expected: [],
  },
  {
    name: 'a low clock by application setting',
    reading: { utilisationPercent: 99, smClockMHz: 345, maxSmClockMHz: 1980, throttle: 0x2 },
    forMs: 10 * MINUTE,
    expected: [],
  },
  {
    name: 'uncorrected errors that grow',
    reading: (at) => ({ eccVolatileUncorrected: at < 30_000 ? 1 : 2 }),
    forMs: MINUTE,
    expected: ['+ecc.uncorrected@30'],
  },
  {
    name: 'uncorrected errors from before we looked',
    reading: { eccVolatileUncorrected: 7 },
    forMs: MINUTE,
    expected: [],
  },
  {
    name: 'uncorrected errors that fall back were counted anew',
    reading: (at) => ({ eccVolatileUncorrected: at < 30_000 ? 9 : 0 }),
    forMs: MINUTE,
    expected: [],
  },
  {
    name: 'a pending remap',
    reading: { rowRemapPending: true },
    forMs: MINUTE,
    expected: ['+remap.pending@0'],
  },
  {
    name: 'a failed remap',
    reading: { rowRemapFailed: true },
    forMs: MINUTE,
    expected: ['+remap.failed@0'],
  },
  {
    name: 'too many errors in on-chip memory',
    reading: { sramThresholdExceeded: true },
    forMs: MINUTE,
    expected: ['+sram.threshold@0'],
  },
  {
    name: 'a pending page retirement',
    reading: { retiredPagesPending: true },
    forMs: MINUTE,
    expected: ['+retired.pending@0'],
  },
  { name: '62 retired pages', reading: { retiredPages: 62 }, forMs: MINUTE, expected: [] },
  {
    name: '63 retired pages',
    reading: { retiredPages: 63 },
    forMs: MINUTE,
    expected: ['+retired.pages@0'],
  },
  {
    name: 'the driver asks for a reset',
    reading: { recoveryAction: 'reset' },
    forMs: MINUTE,
    expected: ['+recovery@10'],
  },
  {
    name: 'the driver asks for nothing',
    reading: { recoveryAction: 'none' },
    forMs: MINUTE,
    expected: [],
  },
  {
    name: '31 replays a minute on gen 5 x16 are normal',
    reading: counting('pcieReplays', 31, { pcieGen: 5, pcieWidth: 16 }),
    forMs: 10 * MINUTE,
    expected: [],
  },
  {
    name: '32 are not, in 3 minutes in a row',
    reading: counting('pcieReplays', 32, { pcieGen: 5, pcieWidth: 16 }),
    forMs: 3 * MINUTE,
    expected: ['+pcie.replay.rate@180'],
  },
  {
    name: 'replays of an unknown link say nothing',
    reading: counting('pcieReplays', 1000),
    forMs: 10 * MINUTE,
    expected: [],
  },
  {
    name: 'a narrow link under load for 5 min',
    reading: { utilisationPercent: 50, pcieWidth: 8, pcieMaxWidth: 16 },
    forMs: 5 * MINUTE,
    expected: ['+pcie.degraded@300'],
  },
  {
    name: 'a slow link under load for 5 min',
    reading: { utilisationPercent: 50, pcieGen: 1, pcieMaxGen: 5 },
    forMs: 5 * MINUTE,
    expected: ['+pcie.degraded@300'],
  },
  {
    name: 'a slow link of an idle device',
    reading: { utilisationPercent: 0, pcieGen: 1, pcieMaxGen: 5 },
    forMs: 10 * MINUTE,
    expected: [],
  },
  {
    name: 'an NVLink error a minute',
    reading: counting('nvlinkErrors', 1),
    forMs: MINUTE,
    expected: ['+nvlink.errors@60'],
  },
  {
    name: 'NVLink errors from before we looked',
    reading: { nvlinkErrors: 400 },
    forMs: 10 * MINUTE,
    expected: [],
  },
  {
    name: 'a device that reports nothing is never judged',
    reading: {},
    forMs: 120 * MINUTE,
    expected: [],
  },
]

describe('a signal is raised', () => {
  test.for(rows)('$name', ({ reading, forMs, expected }) => {
    expect(short(feed(createMemory(), 0, forMs, reading))).toEqual(expected)
  })

  test('every rule that reads samples has a row that raises it', () => {
    const raised = new Set(
      rows.flatMap(({ expected }) => expected.map((text) => text.slice(1, text.indexOf('@')))),
    )
    // These two are facts of a source, told in the tests of nodes.
    expect([...raised, 'lost', 'driver.hung'].sort()).toEqual([...signalRules].sort())
  })
})

interface Release {
  readonly name: string
  readonly raise: Reading | ((at: number) => Reading)
  readonly raiseMs: number
  readonly next: Reading | ((at: number) => Reading)
  readonly forMs: number
  readonly expected: readonly string[]
}

const releases: readonly Release[] = [
  {
    name: 'margin 8 for 2 min',
    raise: { marginC: 5 },
    raiseMs: 5 * MINUTE,
    next: { marginC: 8 },
    forMs: 2 * MINUTE,
    expected: ['-temp.high@120'],
  },
  {
    name: 'margin 7 never',
    raise: { marginC: 5 },
    raiseMs: 5 * MINUTE,
    next: { marginC: 7 },
    forMs: 10 * MINUTE,
    expected: [],
  },
  {
    name: '82 °C for 2 min',
    raise: { temperatureC: 85 },
    raiseMs: 5 * MINUTE,
    next: { temperatureC: 82 },
    forMs: 2 * MINUTE,
    expected: ['-temp.high@120'],
  },
  {
    name: '83 °C never',
    raise: { temperatureC: 85 },
    raiseMs: 5 * MINUTE,
    next: { temperatureC: 83 },
    forMs: 10 * MINUTE,
    expected: [],
  },
  {
    name: '3 samples below 85 °C end the critical level',
    raise: { temperatureC: 88 },
    raiseMs: 20_000,
    next: { temperatureC: 84 },
    forMs: 30_000,
    expected: ['-temp.critical@20'],
  },
  {
    name: '86 °C does not',
    raise: { temperatureC: 88 },
    raiseMs: 20_000,
    next: { temperatureC: 86 },
    forMs: MINUTE,
    expected: [],
  },
  {
    name: 'hardware slowdown in no sample of 10 min',
    raise: { throttle: 0x40 },
    raiseMs: 10 * MINUTE,
    next: { throttle: 0x1 },
    forMs: 9 * MINUTE,
    expected: ['-throttle.hw@530'],
  },
  {
    name: 'hardware slowdown in 1 of 5 samples goes on',
    raise: { throttle: 0x40 },
    raiseMs: 10 * MINUTE,
    next: (at) => ({ throttle: (at / EVERY) % 5 === 0 ? 0x40 : 0 }),
    forMs: 30 * MINUTE,
    expected: [],
  },
  {
    name: 'software slowdown ends with the first sample without',
    raise: { throttle: 0x20 },
    raiseMs: 30 * MINUTE,
    next: { throttle: 0 },
    forMs: EVERY,
    expected: ['-throttle.sw@0'],
  },
  {
    name: 'a clock that is back',
    raise: { utilisationPercent: 90, smClockMHz: 300, maxSmClockMHz: 1980, throttle: 0 },
    raiseMs: 5 * MINUTE,
    next: { utilisationPercent: 90, smClockMHz: 1900, maxSmClockMHz: 1980, throttle: 0 },
    forMs: EVERY,
    expected: ['-clock.low@0'],
  },
  {
    name: 'uncorrected errors counted anew',
    raise: (at) => ({ eccVolatileUncorrected: at / EVERY }),
    raiseMs: EVERY,
    next: { eccVolatileUncorrected: 0 },
    forMs: EVERY,
    expected: ['-ecc.uncorrected@0'],
  },
  {
    name: 'a remap that was applied',
    raise: { rowRemapPending: true },
    raiseMs: 0,
    next: { rowRemapPending: false },
    forMs: EVERY,
    expected: ['-remap.pending@0'],
  },
  {
    name: 'a failed remap stays',
    raise: { rowRemapFailed: true },
    raiseMs: 0,
    next: { rowRemapFailed: false },
    forMs: MINUTE,
    expected: [],
  },
  {
    name: 'the SRAM threshold stays',
    raise: { sramThresholdExceeded: true },
    raiseMs: 0,
    next: { sramThresholdExceeded: false },
    forMs: MINUTE,
    expected: [],
  },
  {
    name: 'retired pages stay',
    raise: { retiredPages: 63 },
    raiseMs: 0,
    next: { retiredPages: 0 },
    forMs: MINUTE,
    expected: [],
  },
  {
    name: 'a retirement that was applied',
    raise: { retiredPagesPending: true },
    raiseMs: 0,
    next: { retiredPagesPending: false },
    forMs: EVERY,
    expected: ['-retired.pending@0'],
  },
  {
    name: 'the driver asks for nothing more',
    raise: { recoveryAction: 'reboot' },
    raiseMs: EVERY,
    next: { recoveryAction: 'none' },
    forMs: EVERY,
    expected: ['-recovery@0'],
  },
  {
    name: 'ten minutes without replays',
    raise: counting('pcieReplays', 60, { pcieGen: 5, pcieWidth: 16 }),
    raiseMs: 3 * MINUTE,
    next: { pcieReplays: 180, pcieGen: 5, pcieWidth: 16 },
    forMs: 10 * MINUTE,
    expected: ['-pcie.replay.rate@590'],
  },
  {
    name: 'a link that is whole under load',
    raise: { utilisationPercent: 50, pcieWidth: 8, pcieMaxWidth: 16 },
    raiseMs: 5 * MINUTE,
    next: { utilisationPercent: 50, pcieWidth: 16, pcieMaxWidth: 16 },
    forMs: EVERY,
    expected: ['-pcie.degraded@0'],
  },
  {
    name: 'a link that is only idle proves nothing',
    raise: { utilisationPercent: 50, pcieWidth: 8, pcieMaxWidth: 16 },
    raiseMs: 5 * MINUTE,
    next: { utilisationPercent: 0, pcieWidth: 8, pcieMaxWidth: 16 },
    forMs: MINUTE,
    expected: [],
  },
  {
    name: 'ten minutes without NVLink errors',
    raise: counting('nvlinkErrors', 3),
    raiseMs: MINUTE,
    next: { nvlinkErrors: 3 },
    forMs: 10 * MINUTE,
    expected: ['-nvlink.errors@590'],
  },
]

describe('a signal is released', () => {
  test.for(releases)('$name', ({ raise, raiseMs, next, forMs, expected }) => {
    const memory = createMemory()
    expect(feed(memory, 0, raiseMs, raise)).toHaveLength(1)
    expect(short(feed(memory, raiseMs + EVERY, forMs, next))).toEqual(expected)
  })
})

describe('what is not a reading', () => {
  test('a gap begins every hold anew: nobody watched', () => {
    const memory = createMemory()
    expect(feed(memory, 0, 4 * MINUTE, { temperatureC: 86 })).toEqual([])
    expect(feed(memory, 4 * MINUTE + 31_000, 4 * MINUTE, { temperatureC: 86 })).toEqual([])
    expect(short(feed(memory, 8 * MINUTE + 41_000, MINUTE, { temperatureC: 86 }))).toEqual([
      '+temp.high@50',
    ])
  })

  test('a field that is missing in one sample neither ends nor shortens a hold', () => {
    const said = feed(createMemory(), 0, 5 * MINUTE, (at) =>
      at === MINUTE ? {} : { temperatureC: 86 },
    )
    expect(short(said)).toEqual(['+temp.high@300'])
  })

  test('a recovery action that changes within the settling time is told once, by its last word', () => {
    const memory = createMemory()
    const tell = (at: number, recoveryAction: string): readonly Verdict[] =>
      assess(memory, { uuid: 'GPU-1', recoveryAction }, at, policy)
    expect(tell(0, 'none')).toEqual([])
    expect(tell(1_000, 'drain_reset')).toEqual([])
    expect(tell(1_300, 'reset')).toEqual([])
    expect(tell(3_200, 'reset')).toEqual([])
    expect(tell(3_300, 'reset').map(({ rule, class: asks, doubt }) => [rule, asks, doubt])).toEqual(
      [['recovery', 'reset', false]],
    )
    expect(tell(9_000, 'reset')).toEqual([])
  })

  test.for([
    ['reset', 'reset'],
    ['reboot', 'reboot'],
    ['drain', 'alert'],
    ['drain_reset', 'reset'],
    ['other', 'escalate'],
    ['a word of a later driver', 'escalate'],
  ] as const)('recovery action %s asks for %s', ([action, expected]) => {
    const said = feed(createMemory(), 0, EVERY, { recoveryAction: action })
    expect(said.map(({ class: asks }) => asks)).toEqual([expected])
  })
})

describe('the table', () => {
  test('its options exist, and every verdict carries its class and doubt', () => {
    for (const line of Object.values(signalTable)) {
      for (const option of line.options) expect(nodeTunables).toHaveProperty(option)
      expect(line.source).not.toBe('')
    }
    const [verdict] = feed(createMemory(), 0, 0, { rowRemapFailed: true })
    expect(verdict).toMatchObject({ rule: 'remap.failed', class: 'escalate', doubt: true })
    expect(isRaised(createMemory(), 'remap.failed')).toBe(false)
  })

  test('a verdict shows what was compared, with the option behind each number', () => {
    const [verdict] = feed(createMemory(), 0, 5 * MINUTE, { temperatureC: 87 })
    expect(verdict?.compared).toEqual([
      { name: 'temperatureC', value: 87, op: '>=', threshold: 85, option: 'tempHighC' },
      {
        name: 'heldMs',
        value: 300_000,
        op: '>=',
        threshold: 300_000,
        option: 'tempHighHoldSeconds',
      },
    ])
  })

  test('memory of a device stays small and is JSON', () => {
    const memory = createMemory()
    feed(memory, 0, 60 * MINUTE, (at) => ({
      temperatureC: 60 + (at % 40),
      throttle: at % 256,
      pcieReplays: at,
      pcieGen: 4,
      pcieWidth: 16,
      nvlinkErrors: at,
      eccVolatileUncorrected: at,
    }))
    expect(JSON.stringify(memory).length).toBeLessThan(600)
    expect(JSON.parse(JSON.stringify(memory))).toEqual(memory)
  })

  test('bits have the names that the driver gives them', () => {
    expect(throttleReasons(0x48)).toEqual(['hw_slowdown', 'hw_thermal_slowdown'])
    expect(throttleReasons(0)).toEqual([])
    expect(throttleReasons(0x1ff)).toHaveLength(9)
  })
})

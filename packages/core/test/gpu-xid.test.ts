/** Every class of the Xid table, overrides, texts that decide, and the driver's own recovery action. */
import { describe, expect, test } from 'vitest'
import { HealthError } from '../src/error.ts'
import { checkDevices } from '../src/gpu-shape.ts'
import { resolveNodePolicy } from '../src/node-policy.ts'
import { xidTable } from '../src/xid-table.ts'
import { announcedRecovery, classifyXid, recoveryAction } from '../src/xid.ts'

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i)

const classes = {
  record: [
    37, 38, 43, 44, 45, 63, 66, 67, 92, 93, 106, 107, 121, 137, 141, 152, 153, 157, 160, 161,
  ],
  restart_runner: [
    8,
    11,
    13,
    25,
    31,
    32,
    ...range(39, 41),
    60,
    ...range(68, 72),
    ...range(75, 77),
    80,
    ...range(82, 86),
    88,
    89,
    94,
    ...range(96, 105),
    ...range(126, 135),
    139,
  ],
  reset: [46, 48, 62, 95, 109, 110, 119, 120, 136, 140, 143, 155, 156, 158],
  reboot: [79, 151, 168],
  escalate: [64],
  alert: [54, 74, 78, 142, ...range(144, 150), ...range(162, 165), 167, ...range(169, 172)],
} as const

describe('the Xid table', () => {
  test.for(
    Object.entries(classes).flatMap(([asks, xids]) => xids.map((xid) => [xid, asks] as const)),
  )('Xid %i asks for %s', ([xid, expected]) => {
    expect(classifyXid(xid, '')).toMatchObject({ class: expected, unknown: false })
  })

  test('has one line per Xid and no others, each with a source', () => {
    const listed = xidTable.flatMap(({ xids }) => xids)
    expect(new Set(listed).size).toBe(listed.length)
    expect([...listed].sort((a, b) => a - b)).toEqual(
      Object.values(classes)
        .flat()
        .sort((a, b) => a - b),
    )
    for (const { source, meaning } of xidTable) expect([source, meaning]).not.toContain('')
  })

  test.for([
    [74, 'NVLink: fatal error detected on link 3', 'reset'],
    [149, 'NETIR_LINK_EVT  Fatal   XC0 i0 Link 00', 'reset'],
    [149, 'NETIR_LINK_EVT  Nonfatal   XC0 i0 Link 00', 'alert'],
    [145, 'Non-fatal, Link 02', 'alert'],
    [54, 'Fatal: auxiliary power', 'cordon'],
    [167, 'FATAL timeout', 'cordon'],
    [31, 'Fatal fault', 'restart_runner'],
  ] as const)('Xid %i with "%s" asks for %s', ([xid, text, expected]) => {
    expect(classifyXid(xid, text).class).toBe(expected)
  })

  test('an unknown Xid alerts, whatever its text', () => {
    expect(classifyXid(999, 'Fatal everything')).toEqual({
      class: 'alert',
      meaning: 'not in the table',
      unknown: true,
    })
  })

  test('an override wins over the table and over the text', () => {
    const xid = { 79: 'alert', 999: 'reboot', 74: 'record' } as const
    expect(classifyXid(79, '', xid).class).toBe('alert')
    expect(classifyXid(999, '', xid).class).toBe('reboot')
    expect(classifyXid(74, 'fatal', xid).class).toBe('record')
  })
})

describe('the recovery action', () => {
  test.for([
    [0, 'none'],
    [1, 'reset'],
    [2, 'reboot'],
    [3, 'drain'],
    [4, 'drain_reset'],
    [5, 'other'],
    [7, 'other'],
    ['None', 'none'],
    ['Reset', 'reset'],
    ['GPU Reset', 'reset'],
    ['Reboot', 'reboot'],
    ['Drain P2P', 'drain'],
    ['Drain and Reset', 'drain_reset'],
    ['Recover IMEX Domain', 'other'],
  ] as const)('%s is %s', ([value, expected]) => {
    expect(recoveryAction(value)).toBe(expected)
  })

  test.for([
    ['GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)', 'reset'],
    ['GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)', 'none'],
    ['GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)', 'reboot'],
    ['GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)', 'drain_reset'],
    ['something else', null],
  ] as const)('"%s" announces %s', ([text, expected]) => {
    expect(announcedRecovery(text)).toBe(expected)
  })
})

describe('impossible values are refused with their path', () => {
  const refused = (act: () => unknown): string => {
    try {
      act()
    } catch (error) {
      if (error instanceof HealthError) return `${error.path}: ${error.message}`
      throw error
    }
    return 'accepted'
  }

  test.for([
    [{ tempHighC: 'hot' }, {}, /^policy.tempHighC: .*"hot"; allowed is a number/],
    [{ throttleHwPercent: 0 }, {}, /^policy.throttleHwPercent: /],
    [{}, { 79: 'restart' }, /^gpu.xid.79: .*The nearest is "reset"/],
    [{}, { abc: 'reset' }, /^gpu.xid.abc: .*not an Xid/],
    [{}, { 0: 'reset' }, /^gpu.xid.0: /],
    [{ capPercent: 10 }, {}, /^accepted$/],
    [{ tempHighC: 80 }, { 13: 'reset' }, /^accepted$/],
  ] as const)('%j with Xids %j', ([policy, xid, expected]) => {
    expect(refused(() => resolveNodePolicy(policy, xid))).toMatch(expected)
  })

  test('seconds become milliseconds', () => {
    expect(
      resolveNodePolicy({ throttleHwWindowSeconds: 60.5, healthyDelaySeconds: 5 }),
    ).toMatchObject({ throttleHwWindowMs: 60_500, healthyDelayMs: 5_000, drainTimeoutMs: 300_000 })
  })

  test.for([
    [[{ uuid: 'GPU-1', temperatureC: 50, throttleMs: { hw_thermal_slowdown: 1 } }], /^accepted$/],
    [[{ temperatureC: 50 }], /^devices.0.uuid: .*absent/],
    [
      [{ uuid: 'GPU-1' }, { uuid: 'GPU-2', temperatureC: 'hot' }],
      /^devices.1.temperatureC: .*a number/,
    ],
    [[{ uuid: 'GPU-1', temperature: 50 }], /nearest is temperatureC/],
    [[{ uuid: 'GPU-1', recoveryAction: 'Reset' }], /^devices.0.recoveryAction: /],
    [[{ uuid: '' }], /^devices.0.uuid: /],
    [[{ uuid: 'GPU-1' }, { uuid: 'GPU-2' }, { uuid: 'GPU-1' }], /^devices.2.uuid: .*named twice/],
    [[{ uuid: 'GPU-1', rowRemapPending: 1 }], /true or false/],
    [[{ uuid: 'GPU-1', throttleMs: [1] }], /an object/],
    [Array.from({ length: 65 }, (_, i) => ({ uuid: `GPU-${i}` })), /allowed are 64/],
  ] as const)('a sample %#', ([devices, expected]) => {
    expect(refused(() => checkDevices(devices, 'devices'))).toMatch(expected)
  })
})

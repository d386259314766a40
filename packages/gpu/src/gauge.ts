/** Devices as Prometheus text, under the names that DCGM's exporter made common, so that dashboards for it work. */
import { throttleBits, type NodeView } from '@health/core'

type Device = NodeView['devices'][number]

interface Gauge {
  readonly name: string
  readonly help: string
  readonly value: (device: Device) => number | undefined
}

/** The view has names; dashboards want the driver's mask. */
function mask({ throttle }: Device): number | undefined {
  return throttle === undefined
    ? undefined
    : throttleBits.reduce((bits, [bit, name]) => (throttle.includes(name) ? bits | bit : bits), 0)
}

const gauges: readonly Gauge[] = [
  {
    name: 'DCGM_FI_DEV_GPU_TEMP',
    help: 'Temperature in C.',
    value: (device) => device.temperatureC,
  },
  {
    name: 'DCGM_FI_DEV_GPU_TEMP_LIMIT',
    help: 'Margin to the limit in C.',
    value: (device) => device.marginC,
  },
  { name: 'DCGM_FI_DEV_SM_CLOCK', help: 'SM clock in MHz.', value: (device) => device.smClockMHz },
  {
    name: 'DCGM_FI_DEV_MAX_SM_CLOCK',
    help: 'Highest SM clock in MHz.',
    value: (device) => device.maxSmClockMHz,
  },
  {
    name: 'DCGM_FI_DEV_CLOCKS_EVENT_REASONS',
    help: 'Clocks-event reasons as a bit mask.',
    value: mask,
  },
  { name: 'DCGM_FI_DEV_POWER_USAGE', help: 'Power in W.', value: (device) => device.powerW },
  {
    name: 'DCGM_FI_DEV_GPU_UTIL',
    help: 'Utilisation in percent.',
    value: (device) => device.utilisationPercent,
  },
  {
    name: 'DCGM_FI_DEV_FB_USED',
    help: 'Memory in use in MiB.',
    value: (device) => device.memoryUsedMiB,
  },
  { name: 'DCGM_FI_DEV_XID_ERRORS', help: 'Last Xid.', value: (device) => device.lastXid },
]

const states = ['healthy', 'suspect', 'faulty', 'lost', 'unknown'] as const

/** All devices of all nodes. A value that is not reported has no line. */
export function gpuMetrics(nodes: readonly NodeView[]): string {
  const lines: string[] = []
  const all = nodes.flatMap(({ id, devices }) =>
    devices.map((device) => ({ device, text: labels(id, device) })),
  )
  for (const { name, help, value } of gauges) {
    const rows = all.flatMap(({ device, text }) => {
      const reading = value(device)
      return reading === undefined ? [] : [`${name}{${text}} ${reading}`]
    })
    if (rows.length > 0) lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...rows)
  }
  if (all.length > 0)
    lines.push(
      '# HELP health_device_state 1 for the state of a device.',
      '# TYPE health_device_state gauge',
      ...all.flatMap(({ device, text }) =>
        states.map(
          (state) =>
            `health_device_state{${text},state="${state}"} ${device.state === state ? 1 : 0}`,
        ),
      ),
    )
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

function labels(node: string, { uuid, index, name }: Device): string {
  const pairs: [string, string | number | undefined][] = [
    ['gpu', index],
    ['UUID', uuid],
    ['modelName', name],
    ['Hostname', node],
  ]
  return pairs
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key}="${escape(String(value))}"`]))
    .join(',')
}

function escape(text: string): string {
  return text.replace(/[\\"\n]/g, (sign) => (sign === '\n' ? '\\n' : `\\${sign}`))
}

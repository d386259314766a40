/** Facts about nodes in plain words, for whoever reads why something was decided. It reads and decides nothing. */
import type { NodeEvent } from './node-event.ts'

const on = (device: string | undefined): string =>
  device === undefined ? '' : ` of device ${device}`

/** Devices that one sentence names at most, the hottest. */
const NAMED = 3

function tellReadings({ node, devices }: Extract<NodeEvent, { type: 'gpu.sampled' }>): string {
  const hot = devices
    .filter(({ temperatureC }) => temperatureC !== undefined)
    .toSorted((a, b) => b.temperatureC! - a.temperatureC!)
    .slice(0, NAMED)
    .map(({ uuid, temperatureC }) => `${uuid} ${temperatureC} °C`)
  const more = devices.length - hot.length
  const others = more === 0 ? [] : [`${more} ${hot.length === 0 ? 'devices' : 'more'}`]
  return `readings of node ${node}: ${[...hot, ...others].join(', ')}`
}

/** One fact about a node in plain words. */
export function describeNodeFact(event: NodeEvent): string {
  switch (event.type) {
    case 'gpu.sampled':
      return tellReadings(event)
    case 'gpu.xid':
      return `Xid ${event.xid}${on(event.device)}${event.text === '' ? '' : `: ${event.text}`}`
    case 'gpu.lost':
      return `device ${event.device} does not answer: ${event.detail}`
    case 'source.failed':
      return `telemetry source ${event.source} ${event.why}: ${event.detail}`
    case 'source.recovered':
      return `telemetry source ${event.source} works again: ${event.detail}`
    case 'node.configured':
      return `node ${event.node} configured`
    case 'node.reset.ended':
    case 'node.reboot.ended':
    case 'node.validate.ended': {
      const what = event.type.split('.')[1]!
      const detail = event.detail === '' ? '' : `: ${event.detail}`
      return `${what}${on(event.device)} ${event.passed ? 'passed' : 'failed'}${detail}`
    }
    case 'order.close-breaker':
      return `the breaker was closed by ${event.by}`
    case 'order.cordon':
    case 'order.uncordon':
    case 'order.drain-node':
    case 'order.reset':
    case 'order.reboot':
    case 'order.escalate':
    case 'order.retire':
      return `${event.type.slice(6).replace('-node', '')}${on(event.device)} ordered by ${event.by}`
    default:
      return event satisfies never
  }
}

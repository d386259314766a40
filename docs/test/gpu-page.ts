/** The GPU reference as text, made from the tables that the core judges by. It writes nothing. */
import {
  allowed,
  nodeMachine,
  nodeTunables,
  recoveryClasses,
  signalTable,
  throttleBits,
  xidTable,
  type OptionSpec,
  type SignalLine,
} from '@health/core'
import { picture } from './picture.ts'

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [
    `| ${head.join(' | ')} |`,
    `| ${head.map(() => '---').join(' | ')} |`,
    ...rows.map((row) => `| ${row.map(cell).join(' | ')} |`),
  ].join('\n')
const code = (text: string): string => `\`${text}\``

/** 8, 11, 13–15 */
function spans(numbers: readonly number[]): string {
  const sorted = [...numbers].sort((a, b) => a - b)
  const parts: string[] = []
  for (let from = 0; from < sorted.length;) {
    let to = from
    while (sorted[to + 1] === sorted[to]! + 1) to++
    parts.push(
      to - from < 2 ? sorted.slice(from, to + 1).join(', ') : `${sorted[from]}–${sorted[to]}`,
    )
    from = to + 1
  }
  return parts.join(', ')
}

/** Rules of the chart that no table lists: what each step of the ladder is called in decisions. */
const steps: Readonly<Record<string, string>> = {
  'node.cordon': 'Placement skips the node. The decision carries the rule that asked for it.',
  'node.drain':
    'Runners leave, successors first, within drainTimeoutSeconds; never without a cordon.',
  'node.reset': 'The reset command runs on the device, when no runner is left on it.',
  'node.reboot': 'The reboot command runs, when no runner is left on the node.',
  'node.validate': 'The node proves itself: its check passed, all devices are there and well.',
  'node.uncordon': 'It proved itself for healthyDelaySeconds and is in service again.',
  'node.escalate': 'No remedy is left, or counts say that none helps: a person, with the evidence.',
  'node.doubt':
    'Something is wrong that takes nothing out of service, or no longer is. The decision carries the rule of the signal.',
  'node.breaker': 'Too many nodes at once: recorded, not enforced, asked again when there is room.',
  xid: 'The driver reported an error of the Xid table.',
  'order.cordon': 'A person cordoned the node; only a person uncordons it.',
  'order.drain':
    'A person drained it: it was cordoned first, and stays so until a person uncordons it.',
  'order.reset': 'A person ordered a reset; counts and the breaker do not limit it.',
  'order.reboot': 'A person ordered a reboot; likewise.',
  'order.uncordon':
    'A person uncordoned it: at once when nothing is wrong, else through validation.',
  'order.escalate': 'A person took it out of service and handed it to people.',
  'order.retire': 'A person retired it; one that comes back under the same name must prove itself.',
}

/** Rule names of the chart. */
export function chartRules(config: unknown = nodeMachine.config): ReadonlySet<string> {
  const names = new Set<string>()
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    const { rule } = value as { readonly rule?: unknown }
    if (typeof rule === 'string') names.add(rule)
    for (const part of Object.values(value)) walk(part)
  }
  walk(config)
  return names
}

/** Names that the page explains. */
export const explained: ReadonlySet<string> = new Set(Object.keys(steps))

/** `docs/reference/gpu.md`. */
export const gpuPage = `# GPU health

Made from the tables that the core judges by; what to do about each is in the [guide](../guides/gpu-trouble.md).

Authority: the driver's own recovery action, then the Xid table (with your overrides in \`gpu.xid\`), then readings. A field that a device does not report is absent and
never judged; a gap in the samples begins every hold anew. Equal faults within \`faultBurstSeconds\` are one.

## Classes

${table(
  ['class', 'what follows'],
  [
    ['`record`', 'nothing; it is in the journal and in `lastXid`'],
    ['`alert`', 'people are told; a level makes the node `suspect` while it lasts'],
    [
      '`restart_runner`',
      'the runner on the device is judged `device_fault`; the same Xid within `xidRepeatSeconds` under another runner becomes `drain`',
    ],
    ['`cordon`', 'no new runners; a person uncordons'],
    ['`drain`', 'cordon, drain, wait until the level is released, prove itself'],
    ['`reset`', 'cordon, drain the device, reset it, prove itself'],
    ['`reboot`', 'cordon, drain the node, reboot it, prove itself'],
    ['`escalate`', 'cordon, drain the device, a person with the evidence'],
  ],
)}

## Signals of telemetry

Doubt is concluded from readings; a fact is what the driver states.

${table(
  ['rule', 'raised', 'released', 'class', 'doubt or fact', 'source'],
  Object.entries<SignalLine>(signalTable).map(([rule, line]) => [
    code(rule),
    line.raised,
    line.released,
    code(line.class) + (line.idle ? ', when the device is idle' : ''),
    line.doubt ? 'doubt' : 'fact',
    line.source,
  ]),
)}

## Xids

One that is not here alerts, nothing more. \`gpu: { xid: { 79: alert } }\` overrides a line.

${table(
  ['Xid', 'meaning', 'class', 'when its text says fatal', 'source'],
  xidTable.map(({ xids, meaning, class: asks, fatal, source }) => [
    spans(xids),
    meaning,
    code(asks),
    fatal === undefined ? '–' : code(fatal),
    source,
  ]),
)}

## The driver's recovery action

${table(
  ['action', 'class'],
  Object.entries(recoveryClasses).map(([action, asks]) => [code(action), code(asks)]),
)}

## Bits of the clocks-event reasons

${table(
  ['bit', 'name'],
  throttleBits.map(([bit, name]) => [code(`0x${bit.toString(16)}`), code(name)]),
)}

## Options

In \`policy\`, by these names.

${table(
  ['option', 'default', 'allowed', 'why'],
  Object.entries<OptionSpec>(nodeTunables).map(([name, spec]) => [
    code(name),
    code(JSON.stringify(spec.default)),
    allowed(spec),
    spec.reason,
  ]),
)}

## A node's way

${table(
  ['rule', 'says'],
  Object.entries(steps).map(([rule, says]) => [code(rule), says]),
)}

${picture(nodeMachine)}
`

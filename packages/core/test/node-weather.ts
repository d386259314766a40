/** Forty minutes of a few nodes as a recording: each device has troubles of its own, remedies are carried out, some of them in vain. */
import {
  chance,
  createFleet,
  type Decision,
  type DeviceSample,
  type HealthEvent,
  nextDue,
  type PolicyOptions,
  type Recording,
  step,
} from '../src/index.ts'
import type { Told } from './stage.ts'

/** What happened, and what was decided about it. */
export interface NodeSpell {
  readonly recording: Recording
  readonly decisions: readonly Decision[]
}

const EVERY = 10_000
const troubles = ['well', 'hot', 'warm', 'throttled', 'slow', 'absent', 'pages', 'ecc'] as const

const policies: readonly PolicyOptions[] = [
  {},
  { tempCriticalSamples: 2, tempHighHoldSeconds: 30, nodeBreakerPercent: 50 },
  { dryRun: ['temp.critical', 'temp.high'], clockLowHoldSeconds: 40, throttleHwWindowSeconds: 60 },
  {
    nodeResetFailures: 1,
    nodeBreakerOpenPercent: 100,
    nodeBreakerPercent: 100,
    healthyDelaySeconds: 1,
  },
  { nodeRemediations: 2, lostSamples: 1, throttleHwWindowSeconds: 60, throttleHwPercent: 30 },
]

/** Lives them. The seed decides the policy, the number of nodes and everything that goes wrong. */
export function nodeSpell(seed: number): NodeSpell {
  const policy = policies[seed % policies.length]!
  const fleet = createFleet(policy, { seed })
  const events: HealthEvent[] = []
  const decisions: Decision[] = []
  let draws = 0
  const draw = (): number => chance(seed, 0x5eed, draws++)
  const later: { readonly at: number; readonly event: Told }[] = []
  const take = (event: HealthEvent): void => {
    const result = step(fleet, event)
    if (result.seq > 0) events.push({ ...event, seq: result.seq })
    decisions.push(...result.decisions)
    for (const command of result.commands) {
      if (command.type === 'reset')
        later.push({
          at: event.at + 5_000,
          event: {
            type: 'node.reset.ended',
            node: command.node,
            passed: draw() < 0.5,
            detail: '',
            answers: command.id,
          },
        })
      else if (command.type === 'reboot')
        later.push({ at: event.at + 60_000, event: configured(command.node, `b${event.at}`) })
    }
  }
  const nodes = Array.from({ length: 2 + (seed % 4) }, (_, i) => `n${i}`)
  const configured = (node: string, boot: string): Told => ({
    type: 'node.configured',
    node,
    devices: [`${node}-0`, `${node}-1`],
    canReset: seed % 3 !== 0,
    canReboot: true,
    canValidate: false,
    boot,
  })
  for (const node of nodes) take({ ...configured(node, 'b'), at: 0 } as HealthEvent)
  const mood = new Map<string, { trouble: (typeof troubles)[number]; until: number; ecc: number }>()
  const sampleOf = (uuid: string, at: number): DeviceSample | null => {
    let state = mood.get(uuid)
    if (state === undefined || state.until <= at) {
      const trouble = draw() < 0.5 ? 'well' : troubles[Math.floor(draw() * troubles.length)]!
      state = { trouble, until: at + 20_000 + draw() * 600_000, ecc: state?.ecc ?? 0 }
      if (trouble === 'ecc') state.ecc++
      mood.set(uuid, state)
    }
    const { trouble } = state
    if (trouble === 'absent') return null
    return {
      uuid,
      temperatureC:
        (trouble === 'hot' ? 86 : trouble === 'warm' ? 82 : 50) + Math.floor(draw() * 8),
      throttle: trouble === 'throttled' && draw() < 0.8 ? 0x40 : 0,
      utilisationPercent: 95,
      smClockMHz: trouble === 'slow' ? 600 : 1800,
      maxSmClockMHz: 2000,
      eccVolatileUncorrected: state.ecc,
      ...(trouble === 'pages' && { retiredPages: 60 + Math.floor(draw() * 8) }),
    }
  }
  let sequence = 0
  for (let at = EVERY; at <= 2_400_000; at += EVERY) {
    // What falls between two samples, in order of time.
    for (;;) {
      later.sort((a, b) => a.at - b.at)
      const due = Math.min(nextDue(fleet), later[0]?.at ?? Number.POSITIVE_INFINITY)
      if (due > at) break
      if (later[0] !== undefined && later[0].at === due)
        take({ ...later.shift()!.event, at: due } as HealthEvent)
      else take({ type: 'time.passed', at: due })
    }
    for (const node of nodes) {
      const devices = [0, 1].flatMap((n) => sampleOf(`${node}-${n}`, at) ?? [])
      take({ type: 'gpu.sampled', at, node, devices })
      if (draw() < 0.01)
        take({
          type: 'gpu.xid',
          at,
          node,
          device: `${node}-0`,
          xid: draw() < 0.5 ? 63 : 48,
          text: '',
          boot: 'b',
          sequence: ++sequence,
        })
    }
    if (draw() < 0.01) take({ type: 'order.close-breaker', at, by: 'ada' })
    if (draw() < 0.005)
      take({
        type: 'order.uncordon',
        at,
        node: nodes[Math.floor(draw() * nodes.length)]!,
        by: 'ada',
      })
  }
  return { recording: { start: null, policy, seed, events }, decisions }
}

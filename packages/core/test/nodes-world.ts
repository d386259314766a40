/** A small world around the nodes for tests: it numbers facts and decisions, keeps what came out, and feeds samples over time. */
import type { Command } from '../src/command.ts'
import type { Decision } from '../src/decision.ts'
import { resolveNodePolicy, type NodePolicy } from '../src/node-policy.ts'
import type { DeviceSample, NodeEvent } from '../src/node-event.ts'
import { Nodes, type NodeEffect, type NodesStep } from '../src/nodes.ts'

type Told = NodeEvent extends infer E
  ? E extends NodeEvent
    ? Omit<E, 'at' | 'seq'>
    : never
  : never

export const EVERY = 10_000

export class World {
  nodes = new Nodes({ seed: 1 })
  policy: NodePolicy
  at = 0
  seq = 0
  decisions: Decision[] = []
  commands: Command[] = []
  effects: NodeEffect[] = []
  dismissed: (string | null)[] = []
  pids: Record<number, string> = {}
  #counted = 0

  constructor(policy: Record<string, unknown> = {}, xid: Record<string, unknown> = {}) {
    this.policy = resolveNodePolicy(policy, xid)
  }

  get env() {
    return {
      policy: this.policy,
      nextDecision: () => ++this.#counted,
      runnerByPid: (_node: string, pid: number) => this.pids[pid] ?? null,
    }
  }

  /** From now on nodes are judged by this policy. */
  judge(policy: Record<string, unknown>): void {
    this.policy = resolveNodePolicy(policy)
  }

  tell(event: Told): NodesStep {
    return this.#keep(
      this.nodes.step({ ...event, at: this.at, seq: ++this.seq } as NodeEvent, this.env),
    )
  }

  /** A node with some devices `id-0`, `id-1`…; can do everything unless told otherwise. */
  node(
    id: string,
    devices: number,
    can: { reset?: boolean; reboot?: boolean; validate?: boolean } = {},
  ): void {
    this.tell({
      type: 'node.configured',
      node: id,
      devices: Array.from({ length: devices }, (_, i) => `${id}-${i}`),
      canReset: can.reset ?? true,
      canReboot: can.reboot ?? true,
      canValidate: can.validate ?? false,
      boot: 'boot-1',
    })
  }

  /** Samples of all devices of a node; `bad` overrides by device. */
  sample(id: string, devices: number, bad: Record<string, Partial<DeviceSample>> = {}): NodesStep {
    const list = Array.from({ length: devices }, (_, i) => ({
      uuid: `${id}-${i}`,
      index: i,
      pci: `0000:0${i}:00`,
      temperatureC: 50,
      ...bad[`${id}-${i}`],
    }))
    return this.tell({ type: 'gpu.sampled', node: id, devices: list })
  }

  /** Goes on for a while with a sample every 10 s. */
  run(
    forMs: number,
    id: string,
    devices: number,
    bad: Record<string, Partial<DeviceSample>> = {},
  ): void {
    const until = this.at + forMs
    while (this.at + EVERY <= until) {
      this.at += EVERY
      this.sample(id, devices, bad)
    }
    this.pass(until - this.at)
  }

  /** Time alone. */
  pass(ms: number): void {
    this.at += ms
    this.#keep(this.nodes.elapse(this.at, this.env))
  }

  runner(runner: string, node: string, devices: readonly string[] = []): void {
    this.nodes.occupy(runner, { node, devices })
  }

  gone(runner: string): void {
    this.#keep(this.nodes.vacate(runner, this.at, this.env))
  }

  state(id: string): string | undefined {
    return this.nodes.view(id)?.state
  }

  /** Decisions as `from→to rule`, with a mark for what was not enforced. */
  get story(): string[] {
    return this.decisions.map(
      ({ from, to, rule, because }) =>
        `${from}→${to} ${rule}${because === null ? '' : ` !${because}`}`,
    )
  }

  /** Orders to carry out, without alerts. */
  get orders(): string[] {
    return this.commands.flatMap((command) => {
      if (command.type === 'alert' || !('node' in command) || command.type === 'provision')
        return []
      return [command.device === null ? command.type : `${command.type} ${command.device}`]
    })
  }

  get alerts(): string[] {
    return this.commands.flatMap((command) => (command.type === 'alert' ? [command.name] : []))
  }

  /** Runners told to leave, and runners judged. */
  get sent(): string[] {
    return this.effects.flatMap((effect) => {
      if (effect.type === 'runner.drain') return [`drain ${effect.runner}`]
      return effect.type === 'device.fault' ? [`fault ${effect.runner} ${effect.rule}`] : []
    })
  }

  /** Id of the last order of a kind. */
  last(type: Command['type']): string {
    return this.commands.findLast((command) => command.type === type)?.id ?? ''
  }

  clear(): void {
    this.decisions = []
    this.commands = []
    this.effects = []
  }

  #keep(step: NodesStep): NodesStep {
    this.decisions.push(...step.decisions)
    this.commands.push(...step.commands)
    this.effects.push(...step.effects)
    this.dismissed.push(step.dismissed)
    return step
  }
}

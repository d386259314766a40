/**
 * Carries out the core's orders about nodes through a port, one at a time and each once, and reports what became of them. Before
 * a reset our own telemetry lets go of the devices, and takes them again whatever happens. It decides nothing.
 */
import type { Clock, Command, NodeEvidence, NodeEvent } from '@health/core'
import { brief } from './source.ts'

/** What became of a remedy. A check that was skipped did not pass. */
export interface Outcome {
  readonly passed: boolean
  /** One line, no secrets. */
  readonly detail: string
}

/**
 * What can be done to a node. Contract: each call is idempotent; a promise that rejects counts as failed. Commands on one machine
 * are one implementation; a cluster's cordon, taint and condition are another.
 */
export interface RemedyPort {
  readonly canReset: boolean
  readonly canReboot: boolean
  readonly canValidate: boolean
  cordon(node: string): Promise<void>
  uncordon(node: string): Promise<void>
  reset(node: string, device: string | null): Promise<Outcome>
  reboot(node: string): Promise<Outcome>
  validate(node: string, device: string | null): Promise<Outcome>
  escalate(node: string, evidence: NodeEvidence | null): Promise<void>
  retire(node: string): Promise<void>
}

/** An order about a node. */
export type NodeCommand = Extract<
  Command,
  { readonly node: string; readonly device: string | null }
>

/** Port, clock, and whom it tells. */
export interface RemediationOptions {
  readonly clock: Clock
  readonly port: RemedyPort
  readonly report: (fact: NodeEvent) => void
  /** Our own source of a node's telemetry; it must let go of a device before a reset. */
  readonly telemetry?: { suspend(): Promise<void>; resume(): void }
  /** Gets sentences about orders that have no answer: a cordon that failed, evidence that could not be written. */
  readonly warn?: (text: string) => void
}

const REMEMBERED = 500

/** Carries out orders. */
export class Remediation {
  readonly #options: RemediationOptions
  /** Ids of orders that were begun; the oldest are forgotten. */
  readonly #begun = new Set<string>()
  #last: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: RemediationOptions) {
    this.#options = options
  }

  /** Carries out an order, after those before it. An id that was begun is not begun again. */
  perform(command: NodeCommand, evidence: NodeEvidence | null = null): void {
    if (this.#closed || this.#begun.has(command.id)) return
    this.#begun.add(command.id)
    if (this.#begun.size > REMEMBERED) this.#begun.delete(this.#begun.values().next().value!)
    this.#last = this.#last.then(() => this.#carryOut(command, evidence))
  }

  /** Resolves when every order so far was carried out. */
  get idle(): Promise<void> {
    return this.#last
  }

  /** Takes no more orders, and waits for the one under way. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#last
  }

  async #carryOut(command: NodeCommand, evidence: NodeEvidence | null): Promise<void> {
    const { port } = this.#options
    const { node, device } = command
    switch (command.type) {
      case 'cordon':
      case 'uncordon':
      case 'retire':
        await this.#quietly(command, port[command.type](node))
        return
      case 'escalate':
        await this.#quietly(command, port.escalate(node, evidence))
        return
      case 'reset':
        this.#answer(command, 'node.reset.ended', await this.#reset(node, device))
        return
      case 'reboot':
        this.#answer(command, 'node.reboot.ended', await outcome(port.reboot(node)))
        return
      case 'validate':
        // Without a configured check telemetry alone proves the node, and nobody waits for an answer.
        if (port.canValidate)
          this.#answer(command, 'node.validate.ended', await outcome(port.validate(node, device)))
        return
      default:
        command.type satisfies never
    }
  }

  /** Any client of the driver blocks a reset, our own first. */
  async #reset(node: string, device: string | null): Promise<Outcome> {
    const { telemetry, port } = this.#options
    const letGo = async (): Promise<Outcome> => {
      await telemetry?.suspend()
      return port.reset(node, device)
    }
    try {
      return await outcome(letGo())
    } finally {
      telemetry?.resume()
    }
  }

  async #quietly(command: NodeCommand, done: Promise<void>): Promise<void> {
    const { passed, detail } = await outcome(done.then(() => ({ passed: true, detail: '' })))
    if (!passed) this.#options.warn?.(`${command.type} of node ${command.node} failed: ${detail}`)
  }

  #answer(
    command: NodeCommand,
    type: 'node.reset.ended' | 'node.reboot.ended' | 'node.validate.ended',
    { passed, detail }: Outcome,
  ): void {
    const { node, device, id } = command
    const at = this.#options.clock.now()
    const which = device === null ? {} : { device }
    this.#options.report({ type, at, node, ...which, passed, detail, answers: id })
  }
}

/** A port that throws has failed; the reason is told, not the stack. */
function outcome(done: Promise<Outcome>): Promise<Outcome> {
  return done.catch((error: unknown) => ({
    passed: false,
    detail: brief(error instanceof Error ? error.message : String(error)),
  }))
}

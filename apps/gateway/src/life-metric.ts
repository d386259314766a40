/**
 * Numbers of lives: which rules moved runners, why they ended or were kept, how long probes took. Everything comes from the fleet's own
 * decisions; label sets are bounded.
 */
import type { Decision, Observation, Reason } from '@health/core'
import { Histogram } from './histogram.ts'
import { bump, label } from './label.ts'

/** Label sets kept of what the fleet does; past it new ones are counted together. */
const MAX_SERIES = 5000

const over = /^(stopping|killing|gone)/

/** The reason that a rule ends with, where only the rule is known: a verdict that was withheld, an adopted server that lives again. */
const byRule: Readonly<Record<string, Reason>> = {
  'start.failed': 'setup_failed',
  'start.deadline': 'startup_timeout',
  'health.threshold': 'health_check_failed',
  'health.heartbeat': 'heartbeat_missed',
  'health.manual': 'manual_health_check_failed',
  'outcome.tcp_check': 'tcp_check_failed',
  'outcome.server_error': 'server_error',
  'outcome.stop_header': 'stop_header',
  'outcome.connection_lost': 'connection_lost',
  'outcome.crashed': 'crashed',
  'outcome.request_timeout': 'request_timeout',
  'pool.keep_alive': 'keep_alive_expired',
  'pool.scaled_down': 'scaled_down',
  'pool.unneeded': 'scaled_down',
  'pool.replaced': 'replaced',
  'pool.app_removed': 'app_removed',
  'order.stop': 'stopped',
  'order.kill': 'killed',
  'order.drain': 'drained',
  'order.shutdown': 'shutdown',
}

/** Counts what happens to runners. */
export class LifeNumbers {
  readonly transitions = new Map<string, number>()
  readonly terminations = new Map<string, number>()
  readonly probes = new Map<string, Histogram>()
  readonly #appOf: (runner: string) => string | null
  readonly #reasonOf: (runner: string) => string | null

  constructor(
    appOf: (runner: string) => string | null,
    reasonOf: (runner: string) => string | null,
  ) {
    this.#appOf = appOf
    this.#reasonOf = reasonOf
  }

  observe({ event, commands, decisions }: Observation): void {
    for (const decision of decisions) {
      const { subject, from, to, rule, enforced, because } = decision
      if (subject.kind !== 'runner') continue
      const app = label(this.#appOf(subject.id) ?? '')
      if (from !== to)
        series(
          this.transitions,
          `app="${app}",from="${label(from)}",to="${label(to)}",rule="${label(rule)}"`,
        )
      const ends = enforced && over.test(to) && !over.test(from)
      // A failure in grace is not enforced either, and nobody asked for an end.
      const kept = !enforced && because?.startsWith('guard.') === true
      if (ends || kept)
        series(
          this.terminations,
          `app="${app}",reason="${label(this.#reason(decision, commands))}",enforced="${enforced}"`,
        )
    }
    if (
      event.type !== 'probe.passed' &&
      event.type !== 'probe.failed' &&
      event.type !== 'probe.errored'
    )
      return
    const labels = `app="${label(this.#appOf(event.runner) ?? '')}",kind="${event.kind}",result="${event.type.slice(6)}"`
    let histogram = this.probes.get(labels)
    if (histogram === undefined && this.probes.size < MAX_SERIES)
      this.probes.set(labels, (histogram = new Histogram()))
    histogram?.add(event.latencyMs / 1000)
  }

  #reason(
    { compared, subject, rule, enforced }: Decision,
    commands: Observation['commands'],
  ): string {
    const stop = commands.find((each) => each.type === 'stop' && each.runner === subject.id)
    if (enforced && stop?.type === 'stop') return stop.reason
    const known = enforced ? this.#reasonOf(subject.id) : null
    // The same counter counts both; only what was compared tells a heartbeat from a check.
    if (known === null && compared.some(({ option }) => option === 'ttlSeconds'))
      return 'heartbeat_missed'
    // What no rule of a runner ends with came from its device or its node.
    return known ?? byRule[rule] ?? 'device_fault'
  }
}

const series = (map: Map<string, number>, labels: string): void =>
  bump(map, map.size < MAX_SERIES || map.has(labels) ? labels : 'app="other"')

/**
 * Carries orders to the ports and answers back as facts, with the id of the order they answer. A port that throws costs one
 * log line and, where its contract owes an answer, the fact that says so; it decides nothing and never takes the loop down.
 */
import {
  handleOf,
  inFlight,
  policyOf,
  runnerOf,
  NO_RUNNER,
  type Cancel,
  type Command,
  type Fleet,
  type Host,
  type HostFact,
  type Launch,
  type Prober,
  type ProbeResult,
} from '@health/core'
import type { Untimed } from './fact.ts'
import { textOf, type Log } from './line.ts'

type Order<T extends Command['type']> = Extract<Command, { readonly type: T }>

/** Options of {@link Performer}. */
export interface PerformerOptions {
  readonly fleet: Fleet
  readonly host: Host
  readonly prober: Prober
  readonly launchOf: (app: string) => Launch | null
  readonly runnerEnv: (runner: string, app: string) => Readonly<Record<string, string>>
  readonly report: (fact: Untimed) => void
  readonly log: Log
}

interface Flight {
  readonly order: Order<'probe'>
  readonly cancel: Cancel
}

/** Orders whose answers are awaited, of one life. */
interface Awaited {
  provision?: string
  ending?: string
}

const lifeOf = (life: { readonly runner: string; readonly incarnation: number }): string =>
  `${life.runner}.${life.incarnation}`

/** See the head of this file. */
export class Performer {
  readonly #options: PerformerOptions
  readonly #flights = new Map<string, Flight>()
  readonly #awaited = new Map<string, Awaited>()

  constructor(options: PerformerOptions) {
    this.#options = options
    options.host.listen((fact) => this.#hostTold(fact))
  }

  /** Remembers an order of before a restart, so that its answer names it. */
  await(command: Command): void {
    if (command.type === 'provision') this.#awaitedOf(command).provision = command.id
    else if (command.type === 'stop' || command.type === 'kill')
      this.#awaitedOf(command).ending = command.id
  }

  /** Id of the order that an end of this life would answer. */
  ending(life: { readonly runner: string; readonly incarnation: number }): string | undefined {
    return this.#awaited.get(lifeOf(life))?.ending
  }

  /** Carries out one order for a runner; orders of other kinds are not for it. */
  perform(command: Command): void {
    try {
      switch (command.type) {
        case 'provision':
          return this.#provision(command)
        case 'stop':
          this.await(command)
          return this.#options.host.stop(command.runner, command.incarnation)
        case 'kill':
          this.await(command)
          return this.#options.host.kill(command.runner, command.incarnation)
        case 'probe':
          return this.#probe(command)
        case 'count':
          return this.#count(command)
        case 'probe.cancel':
          return this.#cancel(`${lifeOf(command)}#${command.probe}`)
        default:
          return
      }
    } catch (error) {
      this.#options.log({
        level: 'error',
        event: 'order.failed',
        order: command.id,
        text: textOf(error),
      })
      this.#answerFailed(command, textOf(error))
    }
  }

  /** The probes in flight now, to be given to {@link voidFlights}. */
  flights(): readonly string[] {
    return [...this.#flights.keys()]
  }

  /** We stood still: what was in flight cannot be judged. A port probe goes on, it accuses nobody. */
  voidFlights(keys: readonly string[]): void {
    for (const key of keys) {
      const order = this.#flights.get(key)?.order
      if (order === undefined || order.kind === 'port') continue
      this.#cancel(key)
      this.#probeEnded(order, {
        result: 'errored',
        latencyMs: 0,
        detail: 'the supervisor stood still',
      })
    }
  }

  /** Takes back every probe; nothing is reported for them. */
  close(): void {
    for (const key of this.#flights.keys()) this.#cancel(key)
  }

  #provision(command: Order<'provision'>): void {
    this.await(command)
    const { fleet, host, launchOf, runnerEnv } = this.#options
    const { runner, incarnation, app, devices, url } = command
    const launch = url === null ? launchOf(app) : null
    if (url === null && launch === null) {
      this.#refuse(command, 'bad_config', `The app ${app} has no command.`)
      return
    }
    // A runner that is no longer on the books was ended before its order was carried out.
    if (handleOf(fleet, runner) === NO_RUNNER) return
    host.provision({ runner, incarnation, app, devices, url, launch, env: runnerEnv(runner, app) })
  }

  #refuse(command: Order<'provision'>, why: 'no_capacity' | 'bad_config', detail: string): void {
    const { runner, incarnation } = command
    this.#hostTold({ type: 'provision.refused', runner, incarnation, why, detail })
  }

  #answerFailed(command: Command, text: string): void {
    if (command.type === 'provision')
      this.#refuse(command, 'no_capacity', `The host failed: ${text}`)
    else if (command.type === 'probe')
      this.#probeEnded(command, { result: 'errored', latencyMs: 0, detail: text })
  }

  /** The answer is ours: the counters are the fleet's own. */
  #count({ id, runner, incarnation }: Order<'count'>): void {
    const { fleet, report } = this.#options
    const handle = handleOf(fleet, runner)
    if (handle === NO_RUNNER) return
    report({
      type: 'work.counted',
      runner,
      incarnation,
      inFlight: inFlight(fleet, handle),
      answers: id,
    })
  }

  #probe(command: Order<'probe'>): void {
    const { fleet, prober } = this.#options
    const handle = handleOf(fleet, command.runner)
    if (handle === NO_RUNNER) return
    const { app, url } = runnerOf(fleet, handle)
    const policy = policyOf(fleet, app)
    const { runner, incarnation, probe, kind, timeoutMs, everyMs } = command
    const key = `${lifeOf(command)}#${probe}`
    let ended = false
    const cancel = prober.probe(
      {
        runner,
        incarnation,
        probe,
        kind,
        url,
        method: policy?.method ?? 'GET',
        path: policy?.path ?? '',
        timeoutMs,
        ...(everyMs !== undefined && { everyMs }),
      },
      (result) => {
        ended = true
        this.#flights.delete(key)
        this.#probeEnded(command, result)
      },
    )
    if (!ended) this.#flights.set(key, { order: command, cancel })
  }

  #probeEnded({ runner, incarnation, probe, kind }: Order<'probe'>, result: ProbeResult): void {
    const { latencyMs, status, why, detail } = result
    if (kind === 'port' && result.result === 'passed') {
      this.#options.report({ type: 'port.opened', runner, incarnation, latencyMs })
      return
    }
    this.#options.report({
      type: `probe.${result.result}`,
      runner,
      incarnation,
      probe,
      kind,
      latencyMs,
      ...(status !== undefined && { status }),
      ...(why !== undefined && { why }),
      ...(detail !== undefined && { detail }),
    })
  }

  #cancel(key: string): void {
    const flight = this.#flights.get(key)
    this.#flights.delete(key)
    flight?.cancel()
  }

  #hostTold(fact: HostFact): void {
    const awaited = this.#awaited.get(lifeOf(fact))
    switch (fact.type) {
      case 'process.started': {
        const { startTime, ...rest } = fact
        const answers = awaited?.provision
        if (awaited !== undefined) delete awaited.provision
        this.#options.report({
          ...rest,
          ...(startTime !== null && { startTime }),
          ...(answers !== undefined && { answers }),
        })
        return
      }
      case 'provision.refused':
        this.#awaited.delete(lifeOf(fact))
        this.#options.report({
          ...fact,
          ...(awaited?.provision !== undefined && { answers: awaited.provision }),
        })
        return
      case 'process.exited':
        this.#awaited.delete(lifeOf(fact))
        this.#options.report({
          ...fact,
          ...(awaited?.ending !== undefined && { answers: awaited.ending }),
        })
        return
      default:
        fact satisfies never
    }
  }

  #awaitedOf(life: { readonly runner: string; readonly incarnation: number }): Awaited {
    const key = lifeOf(life)
    let awaited = this.#awaited.get(key)
    if (awaited === undefined) this.#awaited.set(key, (awaited = {}))
    return awaited
  }
}

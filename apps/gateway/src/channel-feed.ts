/**
 * What the channel tells: takes every observation and every change of a request, and publishes the objects that changed, exactly as `/v1`
 * gives them. It asks first whether anybody wants them, decides nothing and keeps nothing beyond the turn.
 */
import {
  goneView,
  view,
  views,
  type Cancel,
  type Decision,
  type Fleet,
  type GoneRunner,
  type Observation,
  type Register,
  type RunnerView,
} from '@health/core'
import type { Channel, Topic } from '@health/realtime'
import type { WatchedRequests } from './channel-queue.ts'
import { decisionObject } from './fleet-route.ts'
import type { Gateway } from './gateway.ts'
import { nodeObjects, requestObject, runnerObject } from './wire.ts'

/** Objects of requests and decisions in a snapshot. */
const REQUESTS = 1000
const DECISIONS = 100

type Item = Record<string, unknown>

/** The objects of a topic as they are now. */
export function snapshotOf(
  gateway: Gateway,
  topic: Topic,
  apps: ReadonlySet<string> | null,
): readonly unknown[] {
  const { fleet, clock, queue, supervisor } = gateway
  const wanted = (app: string | null): boolean => apps === null || app === null || apps.has(app)
  switch (topic) {
    case 'runners': {
      const runners: unknown[] = []
      for (const runner of views(fleet))
        if (runner.substate !== 'gone' && wanted(runner.app))
          runners.push(runnerObject(clock, runner))
      return runners
    }
    case 'nodes':
      return nodeObjects(gateway)
    case 'requests':
      return apps === null
        ? (queue.open?.(REQUESTS) ?? []).map(requestObject)
        : [...apps]
            .flatMap((app) => queue.open?.(REQUESTS, app) ?? [])
            .slice(0, REQUESTS)
            .map(requestObject)
    case 'decisions':
      return supervisor.history
        .decisions(Math.max(0, fleet.decisionSeq - DECISIONS), DECISIONS)
        .filter((decision) => wanted(appOf(gateway, decision, null)))
        .map((decision) => decisionObject(gateway, decision))
    case 'gpu':
      return nodeObjects(gateway).flatMap(devicesOf)
    default:
      return topic satisfies never
  }
}

/** Publishes what changes, until it is cancelled. */
export function feedChannel(gateway: Gateway, requests: WatchedRequests, channel: Channel): Cancel {
  const { fleet, clock, supervisor, queue } = gateway
  const passing = new Passing(gateway, channel)
  fleet.register = passing
  const stopObserving = supervisor.observe((observation) => {
    const { event, decisions } = observation
    const at = clock.wall(event.at)
    if (channel.wants('runners'))
      for (const id of runnersOf(fleet, observation)) passing.tell(id, at)
    if (channel.wants('decisions')) {
      for (const decision of decisions)
        channel.publish(
          'decisions',
          passing.appOf(decision) ?? appOf(gateway, decision, observation),
          decisionObject(gateway, decision),
          at,
        )
    }
    if ((channel.wants('nodes') || channel.wants('gpu')) && touchesNodes(observation)) {
      for (const node of nodeObjects(gateway)) {
        channel.publish('nodes', null, node, at)
        if ('node' in event && event.node === node['id'] && event.type.startsWith('gpu.'))
          for (const device of devicesOf(node)) channel.publish('gpu', null, device, at)
      }
    }
  })
  const stopListening = requests.listen({
    wants: () => channel.wants('requests'),
    queued(id) {
      const entry = queue.entry(id)
      if (entry !== null) channel.publish('requests', entry.app, requestObject(entry))
    },
    called: (entry) => channel.publish('requests', entry.app, requestObject(entry)),
  })
  return () => {
    fleet.register = null
    stopObserving()
    stopListening()
  }
}

/**
 * Runners that come and go in this turn. One that begins in back-off is in no fact, order or decision, its step may be no observation at
 * all; and when many go at once, the first of them are listed no more.
 */
class Passing implements Register {
  readonly #gateway: Gateway
  readonly #channel: Channel
  readonly #untold = new Set<string>()
  readonly #gone = new Map<string, RunnerView>()

  constructor(gateway: Gateway, channel: Channel) {
    this.#gateway = gateway
    this.#channel = channel
  }

  began(id: string): void {
    if (this.#channel.wants('runners')) this.#note(id)
  }

  ended(app: string, runner: GoneRunner): void {
    if (!this.#channel.wants('runners') && !this.#channel.wants('decisions')) return
    this.#note(runner.id)
    this.#gone.set(runner.id, goneView(app, runner))
  }

  /** Tells how a runner is now. */
  tell(id: string, at: number): void {
    const { fleet, clock } = this.#gateway
    this.#untold.delete(id)
    const runner = this.#gone.get(id) ?? view(fleet, id)
    if (runner !== null)
      this.#channel.publish('runners', runner.app, runnerObject(clock, runner), at)
  }

  appOf({ subject }: Decision): string | null {
    return (subject.kind === 'runner' && this.#gone.get(subject.id)?.app) || null
  }

  #note(id: string): void {
    if (this.#untold.size + this.#gone.size === 0) queueMicrotask(() => this.#tellRest())
    this.#untold.add(id)
  }

  /** Those that no observation was about. */
  #tellRest(): void {
    const at = this.#gateway.clock.wall()
    if (this.#channel.wants('runners')) for (const id of this.#untold) this.tell(id, at)
    this.#untold.clear()
    this.#gone.clear()
  }
}

/** Orders that say nothing about how a runner is. */
const silent: ReadonlySet<string> = new Set(['probe', 'count', 'cancel'])

/** Runners that an observation is about. */
function runnersOf(fleet: Fleet, { event, commands, decisions }: Observation): ReadonlySet<string> {
  const ids = new Set<string>()
  // Each shows options of its app, the start period that counts.
  if (event.type === 'app.configured')
    for (const { id, app, substate } of views(fleet))
      if (app === event.app && substate !== 'gone') ids.add(id)
  if ('runner' in event && event.runner !== undefined && event.runner !== '') ids.add(event.runner)
  if (event.type === 'traffic.counted') for (const id of event.runners) ids.add(id)
  for (const { subject } of decisions) if (subject.kind === 'runner') ids.add(subject.id)
  for (const command of commands)
    if ('runner' in command && !silent.has(command.type)) ids.add(command.runner)
  return ids
}

/** Whether nodes may look different afterwards: who sits where, what is believed of them, what they report. */
const touchesNodes = ({ event, commands, decisions }: Observation): boolean =>
  'node' in event ||
  commands.some(({ type }) => type === 'provision') ||
  decisions.some(({ subject, to }) => subject.kind === 'node' || to === 'gone')

const devicesOf = (node: Item): Item[] =>
  ((node['devices'] ?? []) as Item[]).map((device) => ({ node: node['id'], ...device }))

/** The app of a decision's subject; null when it belongs to none, or nobody remembers. */
function appOf(
  { fleet, queue, calls }: Gateway,
  { subject }: Decision,
  observation: Observation | null,
): string | null {
  if (subject.kind === 'runner')
    return fleet.runners.get(subject.id)?.app.id ?? view(fleet, subject.id)?.app ?? null
  if (subject.kind === 'node') return null
  const event = observation?.event
  if (event !== undefined && 'app' in event && typeof event.app === 'string') return event.app
  return (queue.entry(subject.id) ?? calls.get(subject.id))?.app ?? null
}

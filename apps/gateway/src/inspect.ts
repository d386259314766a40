/**
 * `/v1/inspect`: shows machines as they move, in the frames of XState's inspector. Only machines that somebody follows are looked at; with
 * nobody connected it does not listen to the fleet at all.
 */
import type { IncomingMessage } from 'node:http'
import type { Cancel, Decision, Observation } from '@health/core'
import {
  Frame,
  openDoor,
  PONG,
  readMessage,
  Subscriber,
  type Door,
  type DoorOptions,
  type Guest,
  type Wire,
} from '@health/realtime'
import type { WatchedRequests } from './channel-queue.ts'
import type { Gateway } from './gateway.ts'
import {
  actorFrame,
  eventFrame,
  factOf,
  kinds,
  sessionOf,
  snapshotFrame,
  valueOf,
  type Kind,
  type ShownEvent,
  type Stand,
} from './inspect-frame.ts'
import { livingOnes, requestStand, standOf } from './inspect-subject.ts'

/** Machines that one connection follows when it names none, and at most. */
const SAMPLE = 100
const MOST_SAMPLE = 1000
/** Ids that one connection may name. */
const MOST_IDS = 100
const MAX_BACKLOG = 2 ** 20
const BEHIND_MS = 10_000

/** What one connection wants to see. */
interface Wish {
  /** Null: whatever there is, up to `sample`. */
  readonly ids: ReadonlySet<string> | null
  readonly kinds: ReadonlySet<Kind>
  readonly sample: number
}

/** One connection. `followed` keeps its machines by session. */
class Follower extends Subscriber implements Guest {
  readonly wish: Wish
  readonly followed: Map<string, { readonly kind: Kind; readonly id: string }> = new Map()
  readonly #hub: Hub

  constructor(hub: Hub, wire: Wire, wish: Wish) {
    super(wire, { maxBacklog: MAX_BACKLOG, behindMs: BEHIND_MS })
    this.#hub = hub
    this.wish = wish
  }

  /** An inspector is shown, it does not ask; whether we are there it may want to know, as on the channel. */
  receive(text: string | null): void {
    if (readMessage(text).type === 'ping') this.answer([PONG])
  }

  protected override refresh(): readonly Frame[] {
    return this.#hub.replay(this)
  }

  override close(): void {
    this.#hub.leave(this)
    super.close()
  }
}

/** Opens the door for inspectors. */
export function inspectDoor(
  gateway: Gateway,
  requests: WatchedRequests,
  options: DoorOptions,
): Door {
  const hub = new Hub(gateway, requests)
  return openDoor(options, (wire, request) => {
    const follower = new Follower(hub, wire, readWish(request))
    hub.join(follower)
    return follower
  })
}

function readWish(request: IncomingMessage): Wish {
  const url = request.url ?? ''
  const query = new URLSearchParams(url.slice(url.indexOf('?') + 1))
  const list = (name: string): readonly string[] =>
    query.getAll(name).flatMap((text) => text.split(',').filter((word) => word !== ''))
  const ids = list('id').slice(0, MOST_IDS)
  const words = list('kind')
  const sample = Number(query.get('sample') ?? SAMPLE)
  return {
    ids: ids.length === 0 ? null : new Set(ids),
    kinds: new Set(words.length === 0 ? kinds : kinds.filter((kind) => words.includes(kind))),
    sample: Number.isInteger(sample) && sample > 0 ? Math.min(sample, MOST_SAMPLE) : SAMPLE,
  }
}

/** Who follows what. */
class Hub {
  readonly #gateway: Gateway
  readonly #requests: WatchedRequests
  readonly #followers = new Set<Follower>()
  /** By session: how many follow it. */
  readonly #followed = new Map<string, number>()
  #stop: Cancel | null = null

  constructor(gateway: Gateway, requests: WatchedRequests) {
    this.#gateway = gateway
    this.#requests = requests
  }

  join(follower: Follower): void {
    this.#followers.add(follower)
    this.#stop ??= this.#listen()
    const at = this.#gateway.clock.wall()
    const frames: Frame[] = []
    for (const stand of this.#wished(follower.wish)) {
      this.#follow(follower, stand)
      frames.push(...introduction(stand, at))
    }
    follower.answer(frames)
  }

  leave(follower: Follower): void {
    this.#followers.delete(follower)
    for (const session of follower.followed.keys()) this.#unfollow(session)
    follower.followed.clear()
    if (this.#followers.size > 0) return
    this.#stop?.()
    this.#stop = null
  }

  /** Everything a late or slow one needs to go on. */
  replay({ followed }: Follower): readonly Frame[] {
    const at = this.#gateway.clock.wall()
    return [...followed.values()].flatMap(({ kind, id }) => {
      const stand = standOf(this.#gateway, kind, id)
      return stand === null ? [] : introduction(stand, at)
    })
  }

  *#wished({ ids, kinds: wanted, sample }: Wish): Iterable<Stand> {
    if (ids === null) return yield* livingOnes(this.#gateway, wanted, sample)
    for (const id of ids) {
      for (const kind of wanted) {
        const stand = standOf(this.#gateway, kind, id)
        if (stand !== null) yield stand
      }
    }
  }

  #listen(): Cancel {
    const stopObserving = this.#gateway.supervisor.observe((observation) =>
      this.#observe(observation),
    )
    const stopListening = this.#requests.listen({
      wants: () => true,
      queued: (id) => {
        if (!this.#concerns('request', id)) return
        const entry = this.#gateway.queue.entry(id)
        if (entry !== null) this.#showRequest(requestStand(entry))
      },
      called: (entry) => {
        if (this.#concerns('request', entry.id)) this.#showRequest(requestStand(entry))
      },
    })
    return () => {
      stopObserving()
      stopListening()
    }
  }

  #observe(observation: Observation): void {
    const { event, decisions } = observation
    const at = this.#gateway.clock.wall(event.at)
    // Most observations are about one machine that nobody looks at: they end here.
    if ('runner' in event && event.runner !== undefined && event.runner !== '')
      this.#look('runner', event.runner, observation, at)
    else if ('node' in event) this.#look('node', event.node, observation, at)
    const told = 'runner' in event ? event.runner : 'node' in event ? event.node : null
    for (const { subject } of decisions)
      if (subject.kind !== 'request' && subject.id !== told && isFirst(decisions, subject))
        this.#look(subject.kind, subject.id, observation, at)
  }

  #look(kind: Kind, id: string, { event, decisions }: Observation, at: number): void {
    if (!this.#concerns(kind, id)) return
    const now = standOf(this.#gateway, kind, id)
    if (now === null) return
    const fact = factOf(event)
    const mine = decisions.filter(({ subject }) => subject.kind === kind && subject.id === id)
    const texts: string[] = []
    const show = (stand: Stand, shown: ShownEvent): void =>
      void texts.push(eventFrame(stand, shown, at), snapshotFrame(stand, shown, at))
    // Each verdict on the way, then where it stands now.
    for (const [i, { from, to, rule, enforced, because }] of mine.entries()) {
      const value = i === mine.length - 1 ? now.value : (valueOf(kind, to) ?? now.value)
      const done = i === mine.length - 1 && now.done
      show({ ...now, value, done }, { ...fact, rule, from, to, enforced, because })
    }
    if (mine.length === 0) show(now, fact)
    this.#send(now, texts, at)
  }

  #showRequest(stand: Stand): void {
    const at = this.#gateway.clock.wall()
    const attempts = (stand.context['attempts'] ?? []) as readonly Record<string, unknown>[]
    const last = attempts.at(-1)
    const event: ShownEvent =
      stand.value === 'leased'
        ? { type: 'lease.granted' }
        : stand.value === 'cancelled'
          ? { type: 'request.cancelled' }
          : last === undefined
            ? { type: stand.done ? 'request.expired' : 'request.submitted' }
            : { ...last, type: 'attempt.ended' }
    this.#send(stand, [eventFrame(stand, event, at), snapshotFrame(stand, event, at)], at)
  }

  /** True when somebody follows this machine, or would if it were there. */
  #concerns(kind: Kind, id: string): boolean {
    if (this.#followed.has(sessionOf(kind, id))) return true
    for (const { wish, followed } of this.#followers)
      if (wish.kinds.has(kind) && (wish.ids?.has(id) ?? followed.size < wish.sample)) return true
    return false
  }

  /** The same bytes to all who follow it; who meets it only now gets its introduction. */
  #send(stand: Stand, texts: readonly string[], at: number): void {
    const { kind, id } = stand
    const session = sessionOf(kind, id)
    const frames = texts.map((text) => new Frame(text, null).on('websocket'))
    const bytes = Buffer.concat(frames)
    let introduced: Buffer | null = null
    for (const follower of this.#followers) {
      const { wish, followed } = follower
      if (followed.has(session)) follower.deliver(bytes)
      else if (wish.kinds.has(kind) && (wish.ids?.has(id) ?? followed.size < wish.sample)) {
        this.#follow(follower, stand)
        introduced ??= Buffer.concat([
          new Frame(actorFrame(stand, at), null).on('websocket'),
          bytes,
        ])
        follower.deliver(introduced)
      } else continue
      // Its place is free for another one.
      if (stand.done && followed.delete(session)) this.#unfollow(session)
    }
  }

  #follow(follower: Follower, { kind, id }: Stand): void {
    const session = sessionOf(kind, id)
    if (follower.followed.has(session)) return
    follower.followed.set(session, { kind, id })
    this.#followed.set(session, (this.#followed.get(session) ?? 0) + 1)
  }

  #unfollow(session: string): void {
    const count = (this.#followed.get(session) ?? 0) - 1
    if (count > 0) this.#followed.set(session, count)
    else this.#followed.delete(session)
  }
}

/** What a newcomer gets of a machine: who it is, and where it stands. */
const introduction = (stand: Stand, at: number): Frame[] => [
  new Frame(actorFrame(stand, at), null),
  new Frame(snapshotFrame(stand, { type: '@xstate.init' }, at), null),
]

const isFirst = (decisions: readonly Decision[], subject: Decision['subject']): boolean =>
  decisions.find((each) => each.subject.kind === subject.kind && each.subject.id === subject.id)
    ?.subject === subject

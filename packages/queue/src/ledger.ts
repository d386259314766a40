/**
 * The queue's index in memory: every request by id, the order of each app, and what is due when. It knows only what is
 * already on disk, plus a mark on what is on its way there; it never touches the disk and has no clock.
 */
import type { QueueEntry } from '@health/core'
import { DONE, type Entry, KEPT, LEASED, QUEUED, tailOf } from './entry.ts'
import { Heap } from './heap.ts'
import { Lane } from './lane.ts'

/** The requests of one app. */
class App {
  readonly name: string
  readonly normal = new Lane<Entry>()
  readonly low = new Lane<Entry>()
  readonly delayed = new Heap<'timed', Entry>('timed')
  readonly results = new Heap<'timed', Entry>('timed')
  /** Requests of any standing: the app is forgotten with the last one. */
  entries = 0
  leased = 0
  /** Place in the ledger's heap of delays. */
  turn = -1

  constructor(name: string) {
    this.name = name
  }

  lane(entry: Entry): Lane<Entry> {
    return entry.low ? this.low : this.normal
  }

  get waiting(): number {
    return this.normal.waiting + this.low.waiting
  }
}

const idle = (entry: Entry): boolean => !entry.busy

/** The index. Every method is one step of a request's life and leaves the index whole. */
export class Ledger {
  readonly #entries = new Map<string, Entry>()
  readonly #apps = new Map<string, App>()
  readonly #turns = new Heap<'turn', App>('turn')
  readonly #deadlines = new Heap<'deadline', Entry>('deadline')
  readonly #leases = new Heap<'timed', Entry>('timed')
  /** Requests in quarantine. */
  readonly #kept = new Heap<'timed', Entry>('timed')
  #results = 0
  /** Results, kept ones included, that are on their way out. */
  #retired = 0

  /** Requests that are not done. */
  get unfinished(): number {
    return this.#entries.size - this.#results - this.#kept.size - this.#retired
  }

  /** Results, without those of requests in quarantine. */
  get results(): number {
    return this.#results
  }

  /** Requests in quarantine. */
  get kept(): number {
    return this.#kept.size
  }

  find(id: string): Entry | undefined {
    return this.#entries.get(id)
  }

  /** A request is on its way to the disk: it has its place, can be taken, and is not seen yet. */
  expect(entry: Entry): void {
    const app = this.#app(entry)
    app.entries++
    app.lane(entry).enter(entry)
    app.lane(entry).open(entry)
  }

  /** A request that is in quarantine goes back: its place is the last one from now on. */
  reserve(next: Entry): void {
    const app = this.#app(next)
    app.entries++
    app.lane(next).enter(next)
  }

  /** The disk refused a request that was expected, or had its place reserved. */
  refuse(entry: Entry): void {
    const app = this.#app(entry)
    app.lane(entry).leave(entry)
    this.#left(app)
  }

  /** A request that is on disk is seen from now on, with the standing that it has. */
  admit(entry: Entry): void {
    this.#entries.set(entry.id, entry)
    const app = this.#app(entry)
    if (entry.slot < 0) app.entries++
    if (entry.standing === DONE || entry.standing === KEPT) return this.#file(entry)
    if (entry.slot < 0) app.lane(entry).enter(entry)
    if (entry.standing === QUEUED) return this.#wait(app, entry)
    app.leased++
    this.#leases.put(entry, entry.due)
  }

  /** Takes up to `max` requests that may start at `now` out of the sight of other takers. */
  take(name: string, max: number, now: number): Entry[] {
    const app = this.#apps.get(name)
    const taken: Entry[] = []
    if (app === undefined) return taken
    for (
      let entry = app.delayed.top;
      entry !== undefined && app.delayed.nearest <= now;
      entry = app.delayed.top
    ) {
      app.delayed.drop(entry)
      app.lane(entry).open(entry)
    }
    this.#turn(app)
    while (taken.length < max) {
      const entry = app.normal.firstReady() ?? app.low.firstReady()
      if (entry === undefined) break
      app.lane(entry).hide(entry)
      entry.busy = true
      taken.push(entry)
    }
    return taken
  }

  /** A taken request that could not be leased may be taken again. */
  untake(entry: Entry): void {
    entry.busy = false
    this.#app(entry).lane(entry).open(entry)
  }

  /** Hides a queued request that is about to be ended. */
  hide(entry: Entry): void {
    const app = this.#app(entry)
    entry.busy = true
    app.lane(entry).hide(entry)
    app.delayed.drop(entry)
    this.#turn(app)
  }

  /** A hidden request that could not be ended waits on. */
  unhide(entry: Entry): void {
    entry.busy = false
    this.#wait(this.#app(entry), entry)
  }

  lease(entry: Entry, fence: number, until: number): void {
    const app = this.#app(entry)
    app.lane(entry).stop(entry)
    this.#deadlines.drop(entry)
    app.leased++
    entry.busy = false
    entry.standing = LEASED
    entry.fence = fence
    entry.due = until
    this.#leases.put(entry, until)
  }

  /** Prolongs a lease. */
  renew(entry: Entry, until: number): void {
    entry.due = until
    this.#leases.put(entry, until)
  }

  /** A leased request waits again at the place it had. */
  requeue(entry: Entry, notBefore: number): void {
    const app = this.#app(entry)
    this.#leases.drop(entry)
    app.leased--
    entry.busy = false
    entry.standing = QUEUED
    entry.due = notBefore
    this.#wait(app, entry)
  }

  /** A request, leased or hidden, has its final answer. */
  finish(entry: Entry, at: number, standing: typeof DONE | typeof KEPT): void {
    const app = this.#app(entry)
    if (entry.standing === LEASED) app.leased--
    this.#leases.drop(entry)
    this.#deadlines.drop(entry)
    app.lane(entry).leave(entry)
    entry.busy = false
    entry.standing = standing
    entry.due = at
    this.#file(entry)
  }

  /** Requests of an app that wait and are not on their way elsewhere, normal ones first. */
  waiting(name: string): Entry[] {
    const app = this.#apps.get(name)
    return app === undefined
      ? []
      : [...app.normal.held(), ...app.low.held()].filter(
          (entry) => entry.standing === QUEUED && !entry.busy,
        )
  }

  /** What runs, then what waits, at most `most`; what is not on disk yet is not among them. */
  open(most: number, name?: string): Entry[] {
    const mine = (entry: Entry): boolean => name === undefined || entry.app === name
    const found = this.#leases.upTo(Infinity, most, mine)
    for (const app of this.#apps.values()) {
      if (name !== undefined && app.name !== name) continue
      for (const lane of [app.normal, app.low])
        for (const entry of lane.held()) {
          if (found.length >= most) return found
          if (entry.standing === QUEUED && this.#entries.get(entry.id) === entry) found.push(entry)
        }
    }
    return found
  }

  overdue(now: number, max: number): readonly Entry[] {
    return this.#deadlines.upTo(now, max, idle)
  }

  lapsed(now: number, max: number): readonly Entry[] {
    return this.#leases.upTo(now, max, idle)
  }

  /** Apps that have results. */
  get finished(): readonly string[] {
    return [...this.#apps.values()]
      .filter(({ results }) => results.size > 0)
      .map(({ name }) => name)
  }

  /** Takes up to `max` results of an app from before a time out of the sight of other sweepers, the oldest first. */
  retire(name: string, before: number, max: number): readonly Entry[] {
    const results = this.#apps.get(name)?.results
    const retired: Entry[] = []
    while (results?.top !== undefined && results.nearest < before && retired.length < max)
      retired.push(this.withdraw(results.top))
    return retired
  }

  /** The oldest result of all apps, or of those in quarantine. */
  oldest(kept: boolean): Entry | undefined {
    if (kept) return this.#kept.top
    let oldest: Heap<'timed', Entry> | undefined
    for (const { results } of this.#apps.values())
      if (results.nearest < (oldest?.nearest ?? Infinity)) oldest = results
    return oldest?.top
  }

  /** Takes a result out of the sight of others: it is on its way out. */
  withdraw(entry: Entry): Entry {
    if (entry.standing === KEPT) this.#kept.drop(entry)
    else {
      this.#app(entry).results.drop(entry)
      this.#results--
    }
    this.#retired++
    return entry
  }

  /** A withdrawn result stays after all. */
  retain(entry: Entry): void {
    this.#retired--
    this.#file(entry)
  }

  /** A withdrawn result leaves the index. */
  forget(entry: Entry): void {
    this.#retired--
    this.#entries.delete(entry.id)
    this.#left(this.#app(entry))
  }

  get nextDue(): number {
    return Math.min(this.#turns.nearest, this.#deadlines.nearest, this.#leases.nearest)
  }

  size(
    name: string,
    now: number,
  ): { readonly ready: number; readonly all: number; readonly oldest: number | null } {
    const app = this.#apps.get(name)
    if (app === undefined) return { ready: 0, all: 0, oldest: null }
    const grown = app.delayed.nearest <= now ? app.delayed.upTo(now, Infinity, idle).length : 0
    const oldest = Math.min(
      app.normal.firstWaiting()?.submittedAt ?? Infinity,
      app.low.firstWaiting()?.submittedAt ?? Infinity,
    )
    return {
      ready: app.normal.ready + app.low.ready + grown,
      all: app.waiting,
      oldest: oldest === Infinity ? null : oldest,
    }
  }

  /** Apps with a request that is not done. */
  get apps(): readonly string[] {
    return [...this.#apps.values()]
      .filter((app) => app.waiting + app.leased > 0)
      .map((app) => app.name)
  }

  /** Requests of an app that wait. */
  waitingOf(name: string): number {
    return this.#apps.get(name)?.waiting ?? 0
  }

  /** Waiting requests ahead of one, those of a higher priority included. */
  position(entry: Entry): number {
    const app = this.#app(entry)
    return app.lane(entry).ahead(entry) + (entry.low ? app.normal.waiting : 0)
  }

  view(entry: Entry): QueueEntry {
    const tail = tailOf(entry)
    return {
      id: entry.id,
      app: entry.app,
      owner: entry.owner,
      path: entry.path,
      priority: entry.low ? 'low' : 'normal',
      status:
        entry.standing === QUEUED
          ? 'IN_QUEUE'
          : entry.standing === LEASED
            ? 'IN_PROGRESS'
            : 'COMPLETED',
      position: entry.standing === QUEUED ? this.position(entry) : null,
      submittedAt: entry.submittedAt,
      attempts: tail.lines,
      final: tail.final,
    }
  }

  #file(entry: Entry): void {
    if (entry.standing === KEPT) return this.#kept.put(entry, entry.due)
    this.#app(entry).results.put(entry, entry.due)
    this.#results++
  }

  #wait(app: App, entry: Entry): void {
    const lane = app.lane(entry)
    lane.wait(entry)
    if (entry.startBefore !== null) this.#deadlines.put(entry, entry.startBefore)
    if (entry.busy) return
    if (entry.due <= 0) return lane.open(entry)
    app.delayed.put(entry, entry.due)
    this.#turn(app)
  }

  #left(app: App): void {
    if (--app.entries > 0) return
    this.#turns.drop(app)
    this.#apps.delete(app.name)
  }

  /** Keeps the app's place among the delays of all apps. */
  #turn(app: App): void {
    if (app.delayed.size === 0) this.#turns.drop(app)
    else this.#turns.put(app, app.delayed.nearest)
  }

  #app(entry: Entry): App {
    let app = this.#apps.get(entry.app)
    if (app === undefined) this.#apps.set(entry.app, (app = new App(entry.app)))
    return app
  }
}

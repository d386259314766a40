/**
 * What the fleet remembers of one runner. Data only, and little of it: what a step reads stands together, so that it costs few cache
 * lines among a hundred thousand; what few runners ever need is kept apart and made on first use.
 */
import { hashText } from './chance.ts'
import type { ProbeKind } from './event.ts'
import { type LastProbe, type ProbeWord, probeWord } from './last-probe.ts'
import type { Place } from './pool-place.ts'
import type { Asked, RunnerContext } from './runner.ts'
import type { AppRecord, RunnerHandle, Writable } from './state.ts'
import type { Configuration } from './table.ts'

/** What only runners in some trouble, or with a history, have. */
interface Trouble {
  replaces: string | null
  returns: number
  refusals: number
  fumbles: number
  slowRow: number
  exclusiveAt: number
  heldSeq: number
  heldBy: string | null
  heldRule: string
  episode: string | null
}

const NO_TROUBLE: Readonly<Trouble> = Object.freeze({
  replaces: null,
  returns: 0,
  refusals: 0,
  fumbles: 0,
  slowRow: 0,
  exclusiveAt: -1,
  heldSeq: 0,
  heldBy: null,
  heldRule: '',
  episode: null,
})

const NO_DEVICES: readonly string[] = Object.freeze([])

/** One runner. Every field is small; histories live in the journal. */
export class RunnerRecord {
  readonly slot: RunnerHandle
  readonly id: string
  readonly app: AppRecord
  incarnation = 1
  /** Its seat in the live load; -1 when it has none. Not part of the value. */
  seat = -1
  configuration: Configuration
  context: Writable<RunnerContext>
  place: Place
  #trouble: Trouble = NO_TROUBLE
  flying = 0
  flyingKind: ProbeKind = 'regular'
  probes = 0
  wanted: Asked | null = null
  tcpPassedAt = -1
  /** When its word last changed. */
  since: number
  /** Journal number of the fact that led to its present word. */
  sinceSeq = 0
  /** In flight as last told by events, and since when it has been none. */
  counted = 0
  #probeWord: ProbeWord | null = null
  #probedAt = 0
  #probeMs = 0
  idleSince: number
  /** A 2xx was seen in this life. */
  served = false
  readyAt = -1
  /** When its start was granted; -1 before. */
  grantedAt = -1
  /** Revision of the app's launch that it was started with. */
  revision: string
  url: string
  pid: number | null = null
  startTime: string | null = null
  devices: readonly string[] = NO_DEVICES
  node = 'local'

  constructor(
    slot: RunnerHandle,
    id: string,
    app: AppRecord,
    place: Place,
    configuration: Configuration,
    context: Writable<RunnerContext>,
    at: number,
  ) {
    this.slot = slot
    this.id = id
    this.app = app
    this.place = place
    this.configuration = configuration
    this.context = context
    this.revision = app.revision
    this.url = place.url ?? ''
    this.since = at
    this.idleSince = at
  }

  /** Given for adopted servers: the address never changes. */
  get fixedUrl(): string | null {
    return this.place.url
  }

  /** Hash of the id: the subject of its draws. */
  get chanceKey(): number {
    return hashText(this.id)
  }

  get lastProbe(): LastProbe | null {
    if (this.#probeWord === null) return null
    const { kind, ok, status, error } = this.#probeWord
    return { at: this.#probedAt, kind, ok, status, error, latencyMs: this.#probeMs }
  }

  set lastProbe(last: LastProbe | null) {
    if (last === null) this.#probeWord = null
    else this.probed(last.at, last.kind, last.ok, last.status, last.error, last.latencyMs)
  }

  /** Its last probe, without making a record of it. */
  probed(
    at: number,
    kind: ProbeKind,
    ok: boolean,
    status: number | null,
    error: string | null,
    latencyMs: number,
  ): void {
    const word = this.#probeWord
    if (word === null || word.kind !== kind || word.status !== status || !ok || !word.ok)
      this.#probeWord = probeWord(kind, ok, status, error)
    this.#probedAt = at
    this.#probeMs = latencyMs
  }

  /** The runner whose successor it is. */
  get replaces(): string | null {
    return this.#trouble.replaces
  }

  set replaces(replaces: string | null) {
    if (replaces !== this.#trouble.replaces) this.troubled().replaces = replaces
  }

  /** Lives in a row that an adopted server ended ill, without a stable one between: how long it is left alone. */
  get returns(): number {
    return this.#trouble.returns
  }

  set returns(returns: number) {
    if (returns !== this.#trouble.returns) this.troubled().returns = returns
  }

  /** Times the host refused its start: makes the order's id new. */
  get refusals(): number {
    return this.#trouble.refusals
  }

  set refusals(refusals: number) {
    if (refusals !== this.#trouble.refusals) this.troubled().refusals = refusals
  }

  /** Errors of ours in a row while a manual check was wanted. */
  get fumbles(): number {
    return this.#trouble.fumbles
  }

  set fumbles(fumbles: number) {
    if (fumbles !== this.#trouble.fumbles) this.troubled().fumbles = fumbles
  }

  /** Slow regular probes in a row. */
  get slowRow(): number {
    return this.#trouble.slowRow
  }

  set slowRow(slowRow: number) {
    if (slowRow !== this.#trouble.slowRow) this.troubled().slowRow = slowRow
  }

  /** When an exclusive check was last asked for; -1 never. */
  get exclusiveAt(): number {
    return this.#trouble.exclusiveAt
  }

  set exclusiveAt(exclusiveAt: number) {
    if (exclusiveAt !== this.#trouble.exclusiveAt) this.troubled().exclusiveAt = exclusiveAt
  }

  /** Journal number at which it was held; 0 when it is not. */
  get heldSeq(): number {
    return this.#trouble.heldSeq
  }

  set heldSeq(heldSeq: number) {
    if (heldSeq !== this.#trouble.heldSeq) this.troubled().heldSeq = heldSeq
  }

  /** The guard that holds it. */
  get heldBy(): string | null {
    return this.#trouble.heldBy
  }

  set heldBy(heldBy: string | null) {
    if (heldBy !== this.#trouble.heldBy) this.troubled().heldBy = heldBy
  }

  /** The rule by which it would have ended. */
  get heldRule(): string {
    return this.#trouble.heldRule
  }

  set heldRule(heldRule: string) {
    if (heldRule !== this.#trouble.heldRule) this.troubled().heldRule = heldRule
  }

  /** Last rule recorded without being enforced, so that an episode is one decision. */
  get episode(): string | null {
    return this.#trouble.episode
  }

  set episode(episode: string | null) {
    if (episode !== this.#trouble.episode) this.troubled().episode = episode
  }

  // Not `#troubled`: a private method costs every record a field.
  private troubled(): Trouble {
    if (this.#trouble === NO_TROUBLE) this.#trouble = { ...NO_TROUBLE }
    return this.#trouble
  }
}

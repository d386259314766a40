/**
 * What another policy would have done with a recording, told honestly: the real fleet is replayed as it was, and beside each life runs
 * its shadow under the other policy. Each life is compared for itself; no ending of one is made to change another.
 */
import type { Decision } from './decision.ts'
import { HealthError } from './error.ts'
import type { HealthEvent } from './event.ts'
import { nextDue, step } from './fleet.ts'
import { begin, type Recording } from './replay.ts'
import { countGrant, type Lens, lensDue, lensOf, Shadow, watchLens } from './shadow.ts'
import type { AppRecord, Fleet, RunnerRecord } from './state.ts'
import type { Verdict } from './runner.ts'
import { policyUnder, readChange } from './whatif-change.ts'
import { fates, type Fate, type Life, LifeRecord } from './whatif-life.ts'
import { traits } from './word.ts'

/** How many lives have which fate. The fates are never added up; `alive` and `well` say more about two of them. */
export interface WhatIfCounts extends Readonly<Record<Fate, number>> {
  readonly lives: number
  /** Of `earlier`: those that later passed more checks than they failed. */
  readonly earlierAndWell: number
  /**
   * The control group: lives that a rule condemned and a guard or a dry run kept, and how many of them later passed more checks than
   * they failed. Only these say without bias how often the rule is wrong.
   */
  readonly withheld: number
  readonly withheldAndWell: number
}

/** The answer to a what-if. */
export interface WhatIfResult {
  /** Observed ms of the first and the last event. */
  readonly from: number
  readonly to: number
  readonly events: number
  /** What is Unix time minus observed time from a moment on, in ms. */
  readonly wall: readonly { readonly at: number; readonly offset: number }[]
  /** Options that differ, by app. */
  readonly differs: Readonly<Record<string, readonly string[]>>
  readonly counts: WhatIfCounts
  readonly lives: readonly Life[]
}

/** A what-if in pieces: events as they are read. */
export interface WhatIf {
  /** The next event of the journal. Throws HEALTH_REPLAY_REFUSED when an option of the change cannot be asked of a journal. */
  take(event: HealthEvent): void
  /** The answer, when the journal has ended. */
  finish(): WhatIfResult
}

/** Begins a what-if. `change`: see {@link readChange}; an empty one asks what really happened. */
export function beginWhatIf(start: Omit<Recording, 'events'>, change: unknown = {}): WhatIf {
  return new Following(begin({ ...start, events: [] }), readChange(change))
}

/** {@link beginWhatIf}, at once. */
export function whatIf(recording: Recording, change: unknown = {}): WhatIfResult {
  const following = beginWhatIf(recording, change)
  for (const event of recording.events) following.take(event)
  return following.finish()
}

const over = /^(stopping|killing|gone)/

class Following implements WhatIf {
  readonly #fleet: Fleet
  readonly #change: ReturnType<typeof readChange>
  readonly #lenses = new Map<AppRecord, Lens>()
  readonly #differs = new Map<string, Set<string>>()
  /** By slot. */
  readonly #lives: (LifeRecord | undefined)[] = []
  readonly #byRunner = new Map<string, LifeRecord>()
  readonly #held = new Set<LifeRecord>()
  /** Lives whose later deeds are counted. */
  readonly #watched = new Map<string, LifeRecord>()
  readonly #closed: Life[] = []
  readonly #wall: { at: number; offset: number }[] = []
  #event: HealthEvent | null = null
  #from = Number.NaN
  #events = 0

  constructor(fleet: Fleet, change: ReturnType<typeof readChange>) {
    this.#fleet = fleet
    this.#change = change
    fleet.onTell = (runner, verdict) => this.#told(runner, verdict)
    if (fleet.seq > 0) this.#wall.push({ at: fleet.now, offset: fleet.wallOffset })
    for (const app of fleet.apps.values()) this.#lens(app)
    for (const runner of fleet.runners.values()) this.#life(runner, fleet.now)
  }

  take(event: HealthEvent): void {
    const fleet = this.#fleet
    if (event.at < fleet.now || (event.seq ?? Number.POSITIVE_INFINITY) <= fleet.seq) return
    if (Number.isNaN(this.#from)) this.#from = event.at
    this.#events++
    // A held shadow may go on at the moment a guard lets it, which no event marks.
    while (this.#held.size > 0) {
      const due = this.#nextDue()
      if (!(due < event.at) || due <= fleet.now) break
      this.#step({ type: 'time.passed', at: due })
    }
    if (this.#watched.size > 0) this.#count(event)
    this.#step(event)
    // An app that never had a runner is one too, and what cannot be asked of it is refused.
    const app = event.type === 'app.configured' ? fleet.apps.get(event.app) : undefined
    if (app !== undefined) this.#lens(app)
    if (event.type === 'core.started' || event.type === 'clock.resumed')
      this.#wall.push({ at: event.at, offset: event.wall - event.at })
  }

  finish(): WhatIfResult {
    const fleet = this.#fleet
    const { now } = fleet
    for (const app of Object.keys(this.#change.apps))
      if (!this.#differs.has(app))
        throw new HealthError(
          'HEALTH_POLICY_UNKNOWN',
          `apps.${app} is not an app of this journal; it has ${[...this.#differs.keys()].join(', ') || 'none'}.`,
          `apps.${app}`,
        )
    for (const life of this.#byRunner.values()) {
      life.shadow.elapse(fleet, this.#lens(life.app), now)
      life.watchEnd()
      this.#close(life, now)
    }
    fleet.onTell = null
    const lives = this.#closed.toSorted(
      (a, b) => a.begunAt - b.begunAt || (a.runner < b.runner ? -1 : a.runner > b.runner ? 1 : 0),
    )
    return {
      from: Number.isNaN(this.#from) ? now : this.#from,
      to: now,
      events: this.#events,
      wall: this.#wall,
      differs: Object.fromEntries([...this.#differs].map(([app, names]) => [app, [...names]])),
      counts: countFates(lives),
      lives,
    }
  }

  #nextDue(): number {
    let due = nextDue(this.#fleet)
    for (const life of this.#held) due = Math.min(due, lensDue(this.#lens(life.app)))
    return due
  }

  #lens(app: AppRecord): Lens {
    const known = this.#lenses.get(app)
    if (known !== undefined && known.real === app.policy) return known
    const { policy, differs } = policyUnder(this.#fleet, app, this.#change)
    const names = this.#differs.get(app.id) ?? new Set<string>()
    for (const name of differs) names.add(name)
    this.#differs.set(app.id, names)
    const lens = lensOf(app, policy, known)
    this.#lenses.set(app, lens)
    return lens
  }

  #life(runner: RunnerRecord, at: number): LifeRecord | null {
    const known = this.#lives[runner.slot]
    if (known?.record === runner && known.incarnation === runner.incarnation) return known
    const { stage } = traits(runner.configuration)
    // It was ending when the recording began: nothing is left to judge.
    if (stage === 'terminated' || stage === 'gone') return null
    const shadow = new Shadow(this.#fleet, runner, this.#lens(runner.app).policy)
    const life = new LifeRecord(runner, shadow, at)
    this.#lives[runner.slot] = life
    this.#byRunner.set(runner.id, life)
    if (shadow.held) {
      this.#held.add(life)
      this.#lens(runner.app).queue.push(shadow)
    }
    return life
  }

  #told(runner: RunnerRecord, verdict: Verdict): void {
    const lens = this.#lens(runner.app)
    // The time in which a node is drained is the same option, and it is judged elsewhere.
    const leaving = runner.place.handover ?? runner.context.leaving
    if (leaving?.reason === 'node_drained') refuseNodeDrain(lens)
    watchLens(lens, verdict.at)
    const life = this.#life(runner, verdict.at)
    // Once the real one is being ended, what comes says how we ended it, and nothing of how it would have lived on.
    const { stage } = traits(runner.configuration)
    const ending = stage === 'terminated' || stage === 'gone'
    if (life !== null && !life.over && !ending && life.shadow.ended === null) {
      const { shadow } = life
      shadow.context.policy = lens.policy
      // A heartbeat refutes only who was last struck by a missed one, and that is the shadow's own to know.
      const beat = this.#event?.type === 'heartbeat.received' && verdict.type === 'probe.passed'
      if (!beat || shadow.context.signal === 'heartbeat')
        shadow.tell(this.#fleet, lens, this.#late(runner, verdict, lens))
      if (shadow.held) this.#held.add(life)
      if (life.watchEnd()) this.#watched.set(runner.id, life)
    }
    if (verdict.type === 'termination.granted') countGrant(lens, verdict.at)
  }

  /** An answer that came later than the other policy waits is a failure to it. */
  #late(runner: RunnerRecord, verdict: Verdict, { policy }: Lens): Verdict {
    const event = this.#event
    if (event?.type !== 'probe.passed' && event?.type !== 'probe.failed') return verdict
    if (event.runner !== runner.id) return verdict
    const limit = event.kind === 'tcp' ? policy.tcpCheckTimeoutMs : policy.timeoutMs
    if (event.kind === 'port' || event.latencyMs <= limit) return verdict
    const { at, seq } = verdict
    if (verdict.type === 'probe.passed') return { type: 'probe.failed', signal: 'probe', at, seq }
    // A refusal that nobody waited for any more is a timeout: a doubt, which guards may withhold, and no fact.
    if (verdict.type === 'check.failed') return { ...verdict, doubt: true }
    if (verdict.type === 'check.passed')
      return { type: 'check.failed', kind: verdict.kind, doubt: true, at, seq }
    return verdict
  }

  #step(event: HealthEvent): void {
    this.#event = event
    const { decisions } = step(this.#fleet, event)
    if (event.type === 'heartbeat.received') this.#beat(event)
    for (const decision of decisions)
      if (decision.subject.kind === 'runner') this.#decided(decision)
    for (const life of this.#held) {
      if (life.shadow.held) life.shadow.askAgain(this.#fleet, this.#lens(life.app))
      if (!life.shadow.held || life.over) this.#held.delete(life)
      if (!life.over && life.watchEnd()) this.#watched.set(life.record.id, life)
    }
  }

  /** A heartbeat that told the real runner nothing may acquit its shadow. */
  #beat({
    runner,
    incarnation,
    at,
    seq = 0,
  }: Extract<HealthEvent, { type: 'heartbeat.received' }>): void {
    const life = this.#byRunner.get(runner)
    if (life === undefined || life.over || life.incarnation !== incarnation) return
    const { record, shadow } = life
    if (record.context.signal === 'heartbeat' || shadow.context.signal !== 'heartbeat') return
    if (shadow.ended === null)
      shadow.tell(this.#fleet, this.#lens(life.app), { type: 'probe.passed', at, seq })
  }

  #decided({ subject, at, to, rule, enforced, because }: Decision): void {
    const life = this.#byRunner.get(subject.id)
    if (life === undefined || life.incarnation !== subject.incarnation) return
    life.note(life.really, to.replace(/^(idle|busy)/, 'ready'), at)
    if (!enforced && because?.startsWith('guard.') === true && life.withhold(at, rule, because))
      this.#watched.set(subject.id, life)
    if (!over.test(to)) return
    const { record, shadow } = life
    const known = record.incarnation === life.incarnation ? record.context.reason : null
    life.ended = { at, rule, reason: known ?? shadow.ended?.reason ?? null }
    this.#close(life, at)
  }

  #close(life: LifeRecord, at: number): void {
    life.over = true
    this.#closed.push(life.close(at))
    this.#byRunner.delete(life.record.id)
    this.#watched.delete(life.record.id)
    this.#held.delete(life)
    // Nobody waits for a shadow whose life is over: what became of it is unknown.
    this.#lens(life.app).queue = this.#lens(life.app).queue.filter((each) => each !== life.shadow)
  }

  /** What a condemned runner went on doing. */
  #count(event: HealthEvent): void {
    switch (event.type) {
      case 'probe.passed':
      case 'probe.failed': {
        const life = this.#watched.get(event.runner)
        if (life?.incarnation === event.incarnation && event.kind !== 'port')
          life.count(event.type === 'probe.passed' ? 'passes' : 'failures', 1)
        return
      }
      case 'attempt.ended':
        if (event.status !== null && event.status >= 200 && event.status < 300)
          this.#watched.get(event.runner)?.count('served', 1)
        return
      case 'traffic.counted':
        event.runners.forEach((runner, i) => {
          const served = event.served[i]!
          if (served > 0) this.#watched.get(runner)?.count('served', served)
        })
        return
      default:
    }
  }
}

function refuseNodeDrain({ app, real, policy }: Lens): void {
  if (real.drainTimeoutMs === policy.drainTimeoutMs) return
  throw new HealthError(
    'HEALTH_REPLAY_REFUSED',
    `drainTimeoutSeconds cannot be asked of this journal (${app.id}): a node was drained, and it judges nodes too. Leave it out: only a fleet that runs with it can tell.`,
    'drainTimeoutSeconds',
  )
}

function countFates(lives: readonly Life[]): WhatIfCounts {
  const counts = Object.fromEntries(fates.map((fate) => [fate, 0])) as Record<Fate, number>
  let earlierAndWell = 0
  let withheld = 0
  let withheldAndWell = 0
  for (const life of lives) {
    counts[life.fate]++
    const { afterwards } = life
    if (life.fate === 'earlier' && afterwards !== null && afterwards.passes > afterwards.failures)
      earlierAndWell++
    if (life.withheld === null) continue
    withheld++
    const { passes, failures } = life.withheld.afterwards
    if (passes > failures) withheldAndWell++
  }
  return { lives: lives.length, ...counts, earlierAndWell, withheld, withheldAndWell }
}

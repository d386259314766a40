/**
 * The shadow of one life: the runner's own machine with another policy, told what the real one was told. Its questions are answered
 * by the guards' readings of the real fleet under that policy. It gives no order and moves nothing but itself.
 */
import type { Reason } from './command.ts'
import { capOf, type Guarded, panicAt, rateEvery, rateFreeAt, readGuards } from './guard.ts'
import type { Policy } from './policy.ts'
import type { RunnerContext, Verdict } from './runner.ts'
import {
  type AppRecord,
  type Fleet,
  type RunnerRecord,
  runnerTable,
  type Writable,
} from './state.ts'
import type { Configuration, Performance } from './table.ts'
import { condemned, ruleOf } from './tell.ts'
import { traits } from './word.ts'

/** How a life ended: when, by which rule, for which reason. */
export interface Ending {
  readonly at: number
  readonly rule: string
  readonly reason: Reason | null
}

/** One app as the other policy sees it: the real fleet's numbers, judged by other limits. */
export interface Lens {
  readonly app: AppRecord
  /** The real policy that `policy` was made from; another one makes another lens. */
  readonly real: Policy
  readonly policy: Policy
  /** No guard's limit differs: the real fleet's answers are the answers. */
  readonly sameGuards: boolean
  tat: number
  panic: boolean
  calmAt: number
  suspects: number
  established: number
  lastAt: number
  /** Held shadows, oldest first: who waits where guards differ. */
  queue: Shadow[]
  /** Shadows that ended by doubt lately while the real runner went on: in a world under that policy their places would be out. */
  readonly absent: Shadow[]
  /** The rate guard's memory in that world: the shadows' endings by doubt. */
  absentTat: number
}

const guardLimits = [
  'capPercent',
  'capMin',
  'panicPercent',
  'panicMin',
  'panicCooldownMs',
  'doubtPerSecond',
  'doubtBurst',
  'selfPercent',
] as const satisfies readonly (keyof Policy)[]

/** A lens on an app. `before`: the one of its policy before it was configured again. */
export function lensOf(app: AppRecord, policy: Policy, before: Lens | undefined): Lens {
  return {
    app,
    real: app.policy,
    policy,
    sameGuards: guardLimits.every((name) => app.policy[name] === policy[name]),
    tat: before?.tat ?? app.tat,
    panic: before?.panic ?? app.panic,
    calmAt: before?.calmAt ?? app.calmAt,
    suspects: before?.suspects ?? app.suspects,
    established: before?.established ?? app.established,
    lastAt: before?.lastAt ?? 0,
    queue: before?.queue ?? [],
    absent: before?.absent ?? [],
    absentTat: before?.absentTat ?? app.tat,
  }
}

/** Follows the panic of an app under the other limits; called before each verdict. */
export function watchLens(lens: Lens, at: number): void {
  if (lens.sameGuards) return
  const { suspects, established } = lens.app
  if (suspects !== lens.suspects || established !== lens.established) {
    lens.suspects = suspects
    lens.established = established
    if (suspects >= panicAt({ ...guarded(lens), suspects })) {
      lens.panic = true
      lens.calmAt = -1
    } else if (lens.panic && lens.calmAt < 0)
      lens.calmAt = lens.lastAt + lens.policy.panicCooldownMs
  }
  if (lens.panic && lens.calmAt >= 0 && lens.calmAt <= at) lens.panic = false
  lens.lastAt = at
}

/** Counts a real ending by doubt for the other rate. */
export function countGrant(lens: Lens, at: number): void {
  lens.tat = Math.max(lens.tat, at) + rateEvery(guarded(lens))
}

const guarded = ({ app, policy, sameGuards, tat, panic }: Lens): Guarded => ({
  policy,
  established: app.established,
  suspects: app.suspects,
  panic: sameGuards ? app.panic : panic,
  tat: sameGuards ? app.tat : tat,
})

/** When the lens's guards may say something else by themselves; Infinity when only a fact can. */
export function lensDue(lens: Lens): number {
  const free = rateFreeAt(guarded(lens))
  const calm = lens.panic && lens.calmAt >= 0 ? lens.calmAt : Number.POSITIVE_INFINITY
  return Math.min(calm, free > lens.lastAt ? free : Number.POSITIVE_INFINITY)
}

const performance: Performance<Writable<RunnerContext>, Verdict> = {
  context: {} as Writable<RunnerContext>,
  event: {} as Verdict,
  effects: [],
  delay: Number.NaN,
  cleared: false,
}

/** See the head of this file. */
export class Shadow {
  readonly runner: RunnerRecord
  configuration: Configuration
  readonly context: Writable<RunnerContext>
  ended: Ending | null = null
  /** The guard, or the dry run, that withheld its last verdict; null when none did. */
  withheld: string | null = null
  /** Journal number at which it began to be held; 0 when it is not. */
  heldSeq = 0
  /**
   * It was probed in another rhythm than its policy asks for: what it would have seen in between is not in the journal, so an ending
   * by a check is no longer certain.
   */
  thin = false
  /**
   * It ended by doubt when other endings, which only the other policy would have brought, might have made a guard wait: no longer certain
   * either.
   */
  crowded = false
  /** It waited for its turn in a panic before the real one did: it may have gone at any moment since, by no fact that is in the journal. */
  early = false
  /** Called with each new configuration. */
  onMove: ((word: string, at: number) => void) | null = null
  #due: number
  #heldRule: string

  constructor(fleet: Fleet, runner: RunnerRecord, policy: Policy) {
    this.runner = runner
    this.configuration = runner.configuration
    this.context = { ...runner.context, policy }
    this.#due = runner.configuration.after === null ? Number.NaN : fleet.deadlines.due(runner.slot)
    // A life that was already held when the recording began goes on asking, in its turn.
    this.heldSeq = runner.heldSeq
    this.#heldRule = runner.heldRule
    if (this.held) this.withheld = runner.heldBy
  }

  /** Held: a rule of doubt asked for its end and a guard withheld it. */
  get held(): boolean {
    return this.ended === null && traits(this.configuration).held
  }

  /** When its own deadline falls; NaN when none is set. */
  get due(): number {
    return this.#due
  }

  /** Lets its own deadlines act. */
  elapse(fleet: Fleet, lens: Lens, to: number): void {
    while (this.ended === null && this.#due <= to) {
      const at = this.#due
      this.#due = Number.NaN
      this.#tell(fleet, lens, { type: this.configuration.after, at, seq: 0 } as unknown as Verdict)
    }
  }

  /** Tells it what the real machine is told, before that moves. Deadlines and answers of guards are its own. */
  tell(fleet: Fleet, lens: Lens, verdict: Verdict): void {
    this.elapse(fleet, lens, verdict.at)
    if (this.ended !== null) return
    if (traits(this.configuration).probe !== traits(this.runner.configuration).probe) this.#sparse()
    this.#spare(fleet, lens, verdict.at, verdict.seq)
    if (verdict.type === 'termination.granted') {
      const turn = lens.sameGuards || lens.panic
      if (this.held && !this.#late(lens) && this.#asked(fleet, lens, turn) === null)
        this.#grant(fleet, lens, verdict.at, verdict.seq)
      return
    }
    if (verdict.type === 'termination.withheld' || verdict.type.startsWith('xstate.after')) return
    // The age of an adopted server counts from the first connection that it accepted.
    if (verdict.type === 'port.opened' && this.runner.fixedUrl !== null && !this.context.opened)
      this.context.startedAt = verdict.at
    this.#tell(fleet, lens, verdict)
  }

  /** Asks again whether it may end, as a held runner does when a place comes back. */
  askAgain(fleet: Fleet, lens: Lens): void {
    this.#spare(fleet, lens, fleet.now, fleet.seq)
    if (!this.held) return
    // In panic endings go in turn: held before the real one is, its turn may have come before.
    if (guarded(lens).panic && !traits(this.runner.configuration).held) this.early = true
    if (!this.#late(lens) && this.#asked(fleet, lens, false) === null)
      this.#grant(fleet, lens, fleet.now, fleet.seq)
  }

  /** Let go, as in `tell.ts`: the rule that holds it only observes from now on. */
  #spare(fleet: Fleet, lens: Lens, at: number, seq: number): void {
    if (!this.held || !lens.policy.dryRun.includes(this.#heldRule)) return
    this.heldSeq = 0
    this.withheld = 'guard.dry_run'
    this.#tell(fleet, lens, { type: 'termination.withheld', by: this.withheld, at, seq })
    drop(lens.queue, (other) => other.held)
  }

  /** Others have been held for longer: if the oldest may not go, none may. */
  #late({ app, queue, sameGuards }: Lens): boolean {
    return sameGuards
      ? app.held.some((other) => other !== this.runner && other.heldSeq < this.heldSeq)
      : queue.some((other) => other !== this && other.held && other.heldSeq < this.heldSeq)
  }

  /** The guard for which somebody else is held already. */
  #older({ app, queue, sameGuards }: Lens): string | null {
    return sameGuards
      ? (app.held.find((other) => other !== this.runner)?.heldBy ?? null)
      : (queue.find((other) => other !== this && other.held)?.withheld ?? null)
  }

  #sparse(): void {
    const { suspectIntervalMs, intervalMs } = this.context.policy
    const pace = [this.configuration, this.runner.configuration].map((each) => traits(each).probe)
    const doubled = pace.every((each) => each === 'fast' || each === 'regular')
    if (!doubled || suspectIntervalMs < intervalMs) this.thin = true
  }

  #asked(fleet: Fleet, lens: Lens, turn: boolean): string | null {
    const { app } = lens
    const { runner } = this
    if (lens.sameGuards && turn) return null
    const suspects = app.suspects + (traits(runner.configuration).doubted ? 0 : 1)
    const seen: Guarded = { ...guarded(lens), suspects }
    const panic = seen.panic || suspects >= panicAt(seen)
    const out = app.outs + (runner.place.out ? 0 : 1)
    return readGuards(fleet, { ...seen, panic }, out, turn).by
  }

  #tell(fleet: Fleet, lens: Lens, verdict: Verdict): void {
    const plan = runnerTable.decide(this.configuration, this.context, verdict)
    if (plan === null) return
    const rule = ruleOf(plan, verdict, this.context)
    const from = this.configuration
    if (condemned(plan.next) && !condemned(from) && this.context.policy.dryRun.includes(rule)) {
      this.withheld = 'guard.dry_run'
      if (verdict.type === 'probe.failed') this.context.passes = 0
      // As in `tell.ts`: where the real rule only observes too, the answer is told as a pass by itself.
      const { app } = this.runner
      if (verdict.type === 'check.failed' && !app.policy.dryRun.includes(rule))
        this.#tell(fleet, lens, {
          ...verdict,
          type: 'check.passed',
          kind: this.context.asked ?? verdict.kind,
        })
      return
    }
    performance.context = this.context
    performance.event = verdict
    runnerTable.perform(plan, performance)
    const { delay, cleared } = performance
    const asks = performance.effects.some(({ type }) => type === 'propose')
    this.configuration = plan.next
    if (!Number.isNaN(delay)) this.#due = verdict.at + delay
    else if (cleared) this.#due = Number.NaN
    if (asks) this.#heldRule = rule
    const { stage, ready } = traits(plan.next)
    if (stage === 'terminated' || stage === 'gone')
      this.ended = {
        at: verdict.at,
        rule: verdict.type === 'termination.granted' ? this.#heldRule : rule,
        reason: this.context.reason,
      }
    else if (ready) this.withheld = null
    if (!asks && from !== plan.next && this.onMove !== null) this.onMove(plan.next.word, verdict.at)
    if (asks) this.#propose(fleet, lens, verdict)
  }

  #propose(fleet: Fleet, lens: Lens, { at, seq }: Verdict): void {
    const by = this.#asked(fleet, lens, false) ?? this.#older(lens)
    if (by === null) return this.#grant(fleet, lens, at, seq)
    this.withheld = by
    this.#tell(fleet, lens, { type: 'termination.withheld', by, at, seq })
    this.heldSeq = this.held ? Math.max(1, seq, fleet.seq) : 0
    if (this.held) lens.queue.push(this)
    if (this.onMove !== null) this.onMove(this.configuration.word, at)
  }

  #grant(fleet: Fleet, lens: Lens, at: number, seq: number): void {
    this.withheld = null
    this.heldSeq = 0
    drop(lens.queue, (other) => other.held && other !== this)
    this.#join(lens, at)
    this.#tell(fleet, lens, { type: 'termination.granted', at, seq })
  }

  /** Takes its place among the absent, and sees whether they would have been too many. */
  #join(lens: Lens, at: number): void {
    const seen = { ...guarded(lens), tat: lens.absentTat }
    drop(
      lens.absent,
      ({ runner, ended }) =>
        traits(runner.configuration).serving && at - ended!.at < lens.policy.startupTimeoutMs,
    )
    const out = lens.app.outs + (this.runner.place.out ? 0 : 1) + lens.absent.length
    if (out > capOf(seen) || at < rateFreeAt(seen)) this.crowded = true
    lens.absentTat = Math.max(lens.absentTat, at) + rateEvery(seen)
    lens.absent.push(this)
  }
}

function drop<T>(list: T[], keeps: (each: T) => boolean): void {
  for (let i = list.length - 1; i >= 0; i--) if (!keeps(list[i]!)) list.splice(i, 1)
}

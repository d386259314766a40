/**
 * Hands one verdict to a runner's machine, answers the question it may ask (may I end on doubt?) and writes the record. One
 * verdict is one decision. It never reads a fact and never sizes a pool.
 */
import { compare } from './comparison.ts'
import { type Compared, RunnerDecision, RunnerSubject } from './decision.ts'
import { capOf, rateEvery, rateFreeAt, readGuards, selfAskAt, stoodStill } from './guard.ts'
import {
  type AppRecord,
  type Fleet,
  type RunnerRecord,
  runnerTable,
  type Writable,
} from './state.ts'
import type { RunnerContext, Verdict } from './runner.ts'
import type { Configuration, Performance, Plan } from './table.ts'
import { toldWord, traits } from './word.ts'
import { alert, armApp, factBehind, give, life, push, touch } from './give.ts'
import { moved } from './passage.ts'

/** What a verdict rests on, read before it acts; kept until the fleet has answered, so that one verdict is one record. */
interface Ground {
  readonly from: string
  readonly rule: string
  readonly compared: readonly Compared[]
  readonly events: readonly number[]
  /** Index of the first order it gives. */
  readonly first: number
}

const NONE: readonly never[] = Object.freeze([])

/** One working object per depth of nesting: an answer is told while its question is still being handled. */
const performances: Performance<Writable<RunnerContext>, Verdict>[] = []

let depth = 0

/** Ended, or asking to be. */
export const condemned = (configuration: Configuration): boolean => {
  const { held, stage } = traits(configuration)
  return held || stage === 'terminated' || stage === 'gone'
}

/** The rule of a verdict: the chart's, or the one that came with the event, or why the runner is leaving. */
export function ruleOf(plan: Plan, verdict: Verdict, context: RunnerContext): string {
  if (verdict.type === 'termination.withheld' || verdict.type === 'termination.granted')
    return verdict.type
  if (plan.rule === 'order.drain' && context.leaving !== null) return context.leaving.rule
  return plan.rule ?? ('rule' in verdict ? verdict.rule : verdict.type)
}

/** Tells one verdict. `ground` is given when the verdict is the answer to a question whose record is still to be written. */
export function tell(
  fleet: Fleet,
  runner: RunnerRecord,
  verdict: Verdict,
  ground: Ground | null = null,
): void {
  if (fleet.onTell !== null) fleet.onTell(runner, verdict)
  const from = runner.configuration
  const plan = runnerTable.decide(from, runner.context, verdict)
  if (plan === null) return
  touch(fleet, runner)
  const rule = ruleOf(plan, verdict, runner.context)
  const condemns = condemned(plan.next) && !condemned(from)
  if (condemns && ground === null && runner.app.policy.dryRun.includes(rule)) {
    note(fleet, runner, groundOf(fleet, runner, plan, verdict, rule), 'guard.dry_run', verdict.at)
    if (verdict.type === 'probe.failed') runner.context.passes = 0
    // The question is answered, if not obeyed: the runner goes back to where it was, and may be asked again.
    if (verdict.type === 'check.failed')
      tell(fleet, runner, {
        ...verdict,
        type: 'check.passed',
        kind: runner.context.asked ?? verdict.kind,
      })
    return
  }
  const changes = from !== plan.next
  const basis =
    ground ?? (changes || !plan.enforced ? groundOf(fleet, runner, plan, verdict, rule) : null)
  const silent = verdict.type === 'termination.withheld'

  if (performances.length === depth)
    performances.push({
      context: runner.context,
      event: verdict,
      effects: [],
      delay: Number.NaN,
      cleared: false,
    })
  const done = performances[depth]!
  depth++
  done.context = runner.context
  done.event = verdict
  runnerTable.perform(plan, done)
  runner.configuration = plan.next
  if (!Number.isNaN(done.delay)) fleet.deadlines.set(runner.slot, verdict.at + done.delay)
  else if (done.cleared) fleet.deadlines.clear(runner.slot)
  if (changes) moved(fleet, runner, from, plan.next, verdict)

  let asks = false
  let retires = false
  for (const effect of done.effects) {
    if (effect.type === 'ask') fleet.asked.push(runner)
    else if (effect.type === 'examine') fleet.examined.push(runner)
    else if (effect.type === 'propose') asks = true
    else if (effect.type === 'retire') retires = true
    else carry(fleet, runner, effect.type)
  }
  depth--

  if (asks) {
    let asking = basis ?? groundOf(fleet, runner, plan, verdict, rule)
    if (traits(from).ready) {
      // A threshold of one: the runner is seen as suspect before it is ended.
      const suspect = asking.from.replace(/^(idle|busy)/, 'failing')
      record(
        fleet,
        runner,
        { ...asking, rule: verdict.type === 'doubt.proved' ? rule : 'health.fail' },
        suspect,
        true,
        null,
        verdict.at,
      )
      asking = { ...asking, from: suspect }
    }
    answer(fleet, runner, asking, verdict)
  } else if (basis !== null && !silent) {
    if (plan.enforced) record(fleet, runner, basis, toldWord(runner), true, null, verdict.at)
    else note(fleet, runner, basis, basis.rule, verdict.at)
  }
  if (retires) {
    runner.app.departed.push(runner)
    fleet.dirty.add(runner.app)
  }
}

/** The time of its state is over: its deadline passed, or nothing is left to wait for. */
export function expire(fleet: Fleet, runner: RunnerRecord): void {
  const { after } = runner.configuration
  fleet.deadlines.clear(runner.slot)
  if (after !== null)
    tell(fleet, runner, { type: after, at: fleet.now, seq: 0 } as unknown as Verdict)
}

function groundOf(
  fleet: Fleet,
  runner: RunnerRecord,
  plan: Plan,
  verdict: Verdict,
  rule: string,
): Ground {
  const { context } = runner
  const last = verdict.seq > 0 ? verdict.seq : runner.sinceSeq
  const compared = compare(plan.looked, context, verdict)
  const missed = verdict.type === 'probe.failed' && verdict.signal === 'heartbeat'
  return {
    from: toldWord(runner),
    rule,
    compared: missed ? [silence(context), ...compared] : compared,
    events: citing(context, last),
    first: fleet.commands.length,
  }
}

/** No fact says that a heartbeat did not come: the record does, so that a person and a metric can tell it from a check that failed. */
const silence = ({ policy }: RunnerContext): Compared => {
  const ttl = policy.heartbeatTtlMs ?? 0
  return { name: 'silent', value: ttl, op: '>=', threshold: ttl, option: 'ttlSeconds' }
}

/** What was held against a runner is that it gave no sign of life. */
const silenceOf = ({ context }: RunnerRecord): readonly Compared[] =>
  context.reason === 'heartbeat_missed' ? [silence(context)] : NONE

/** The facts a verdict rests on, each once, the judged one last. */
function citing({ strikes, evidence }: RunnerContext, last: number): readonly number[] {
  // Two heartbeats may be missed after one fact.
  const earlier = strikes.length === 0 ? evidence : [...new Set([...strikes, ...evidence])]
  if (last <= 0) return earlier
  if (earlier.length === 0) return [last]
  if (earlier.length === 1) return earlier[0] === last ? earlier : [earlier[0]!, last]
  return [...earlier.filter((seq) => seq !== last), last]
}

/** Turns a named action of the chart into an order. */
function carry(fleet: Fleet, runner: RunnerRecord, action: string): void {
  const { id, incarnation } = runner
  switch (action) {
    case 'provision':
      return give(fleet, {
        type: 'provision',
        id: `provision:${life(runner)}${runner.refusals > 0 ? `:${runner.refusals + 1}` : ''}`,
        runner: id,
        incarnation,
        app: runner.app.id,
        revision: runner.revision,
        node: runner.node,
        devices: runner.devices,
        url: runner.fixedUrl,
        replaces: runner.replaces,
      })
    case 'stop':
      return give(fleet, {
        type: 'stop',
        id: `stop:${life(runner)}`,
        runner: id,
        incarnation,
        graceMs: runner.app.policy.terminationGraceMs,
        reason: runner.context.reason ?? 'stopped',
      })
    case 'kill':
      return give(fleet, { type: 'kill', id: `kill:${life(runner)}`, runner: id, incarnation })
    default:
      throw new Error(`the chart names an action that the fleet does not carry: ${action}`)
  }
}

/** The orders given since, by id. */
function idsFrom({ commands }: Fleet, first: number): readonly string[] {
  if (commands.length === first) return NONE
  if (commands.length === first + 1) return [commands[first]!.id]
  return commands.slice(first).map(({ id }) => id)
}

/** Writes a decision. */
export function record(
  fleet: Fleet,
  runner: RunnerRecord,
  ground: Ground,
  to: string,
  enforced: boolean,
  because: string | null,
  at: number,
): void {
  const subject = new RunnerSubject(runner.id, runner.incarnation)
  const { from, rule, compared, events } = ground
  const commands = idsFrom(fleet, ground.first)
  push(
    fleet,
    new RunnerDecision(at, subject, from, to, rule, compared, enforced, because, commands, events),
  )
}

/** Records a verdict that is not carried out, once per episode: until a probe passes or the word changes. */
function note(
  fleet: Fleet,
  runner: RunnerRecord,
  ground: Ground,
  because: string,
  at: number,
): void {
  const episode = `${ground.rule}:${because}`
  if (runner.episode === episode) return
  runner.episode = episode
  record(fleet, runner, ground, ground.from, false, because, at)
}

/** The machine asked whether it may end: granted in the same step, or withheld by the first guard that forbids. */
function answer(fleet: Fleet, runner: RunnerRecord, ground: Ground, verdict: Verdict): void {
  const { app } = runner
  const reading = readGuards(fleet, app, app.outs + (runner.place.out ? 0 : 1))
  const older = app.held.find((held) => held !== runner)
  const by = reading.by ?? (older !== undefined ? older.heldBy : null)
  const basis: Ground = { ...ground, compared: [...ground.compared, ...reading.compared] }
  if (by === null) return grant(fleet, runner, basis, verdict.at, verdict.seq)
  const again = runner.heldBy === by
  runner.heldBy = by
  runner.heldRule = ground.rule
  if (by === 'guard.self') {
    if (!fleet.unwellAlerted) {
      fleet.unwellAlerted = true
      alert(
        fleet,
        'checker.unwell',
        'gateway',
        'prober',
        stoodStill(fleet, app)
          ? 'We stood still a moment ago: verdicts by doubt are void for an interval.'
          : 'Most probes time out together and our own control probe fails: verdicts by doubt are void.',
      )
    }
  } else if (!app.held.includes(runner)) {
    runner.heldSeq = Math.max(1, verdict.seq, fleet.seq)
    app.held.push(runner)
  }
  tell(fleet, runner, { type: 'termination.withheld', by, at: verdict.at, seq: verdict.seq })
  const word = toldWord(runner)
  // A verdict that stays void is told once; one that moves the runner is told each time.
  if (!again || word !== basis.from) record(fleet, runner, basis, word, false, by, verdict.at)
  fleet.guarded.add(app)
}

/** A runner that is held by a rule which only observes from now on is let go: it is judged by what it held against it, not ended. */
export function spareHeld(fleet: Fleet, app: AppRecord): void {
  for (const runner of app.held) {
    const rule = runner.heldRule
    if (!app.policy.dryRun.includes(rule) || !traits(runner.configuration).held) continue
    const { context } = runner
    const from = toldWord(runner)
    const events = citing(context, fleet.seq)
    const because = 'guard.dry_run'
    const ground: Ground = {
      from,
      rule,
      compared: silenceOf(runner),
      events,
      first: fleet.commands.length,
    }
    runner.episode = `${rule}:${because}`
    tell(fleet, runner, {
      type: 'termination.withheld',
      by: because,
      at: fleet.now,
      seq: fleet.seq,
    })
    record(fleet, runner, ground, toldWord(runner), false, because, fleet.now)
  }
}

/** Lets a held runner end; the rate guard counts it. */
function grant(fleet: Fleet, runner: RunnerRecord, ground: Ground, at: number, seq: number): void {
  const { app } = runner
  touch(fleet, runner)
  app.tat = Math.max(app.tat, fleet.now) + rateEvery(app)
  runner.heldSeq = 0
  app.held = app.held.filter((held) => held !== runner)
  tell(fleet, runner, { type: 'termination.granted', at, seq }, ground)
}

/** Asks held runners again, oldest first, as far as the guards allow. If the oldest may not go, none may. */
export function govern(fleet: Fleet, app: AppRecord): void {
  let by: string | null = null
  for (;;) {
    const runner = nextHeld(app)
    if (runner === undefined) break
    if (!traits(runner.configuration).held) {
      app.held = app.held.filter((held) => held !== runner)
      continue
    }
    const out = app.outs + (runner.place.out ? 0 : 1)
    let reading = readGuards(fleet, app, out)
    const turn = reading.by === 'guard.panic' && canaryMayGo(fleet, app, runner)
    if (turn) reading = readGuards(fleet, app, out, true)
    by = reading.by
    if (by !== null) break
    const { strikes, evidence } = runner.context
    const ground: Ground = {
      from: toldWord(runner),
      rule: runner.heldRule,
      compared: [...silenceOf(runner), ...reading.compared],
      events: strikes.length > 0 ? [...new Set(strikes)] : evidence,
      first: fleet.commands.length,
    }
    if (turn) {
      app.canary = null
      app.canaryAt = -1
      app.canaryPlace = runner.place
    }
    grant(fleet, runner, ground, fleet.now, factBehind(fleet, runner))
  }
  armGuard(fleet, app, by)
}

/** Who is asked next: the oldest; in panic, where each needs a successor first, the oldest of those that get one. */
const nextHeld = ({ held, panic }: AppRecord): RunnerRecord | undefined =>
  panic ? held.find(({ configuration }) => !traits(configuration).draining) : held[0]

/**
 * In panic endings go one at a time, successor first; ended first when no capacity for a successor is left, and where there never is
 * one: an adopted server succeeds itself.
 */
function canaryMayGo(fleet: Fleet, app: AppRecord, runner: RunnerRecord): boolean {
  const { place } = runner
  // Nobody may ever end by doubt: a successor would wait for that in vain.
  if (capOf(app) === 0) return false
  if (app.canary === null && app.canaryPlace === null && fleet.now >= app.canaryAt) {
    app.canary = runner
    app.vacant.push(place)
    fleet.dirty.add(app)
    return false
  }
  return app.canary === runner && (place.ready || place.refused || app.urls !== null)
}

/** The earliest moment at which a guard may allow more than it does now. `by`: the one that forbids. */
function armGuard(fleet: Fleet, app: AppRecord, by: string | null): void {
  let due = by === 'guard.self' ? selfAskAt(fleet, app) : Number.POSITIVE_INFINITY
  if (app.panic && app.calmAt >= 0) due = Math.min(due, app.calmAt)
  if (app.panic && app.canaryAt > fleet.now && app.held.length > 0)
    due = Math.min(due, app.canaryAt)
  const oldest = nextHeld(app)
  if (
    oldest !== undefined &&
    (!app.panic || app.canary === oldest) &&
    app.outs + (oldest.place.out ? 0 : 1) <= capOf(app) &&
    rateFreeAt(app) > fleet.now
  )
    due = Math.min(due, rateFreeAt(app))
  app.due.guard = due === Number.POSITIVE_INFINITY ? Number.NaN : due
  armApp(fleet, app)
}

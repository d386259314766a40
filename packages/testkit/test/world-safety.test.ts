/** What must hold in every world, whatever the weather: who may be ended, by what, how many, and what a life gets after its end. */
import type { Command, Decision, Fleet, HealthEvent, StepResult } from '@health/core'
import { expect, test } from 'vitest'
import { live } from '../src/world.ts'
import type { WorldOptions } from '../src/world-options.ts'
import { climates } from './climate.ts'

const seeds = [21, 22, 23, 24, 25]
const worlds = Object.keys(climates).flatMap((climate) => seeds.map((seed) => ({ climate, seed })))
const doubts = ['health.threshold', 'outcome.tcp_check']
const immediate: Readonly<Record<string, string>> = {
  server_error: 'server_error',
  connection_lost: 'connection_lost',
  crashed: 'crashed',
  request_timeout: 'request_timeout',
}
type Runner = Fleet['runners'] extends ReadonlyMap<string, infer R> ? R : never

const has = (runner: Runner | undefined, state: string): boolean =>
  runner?.configuration.states.has(state) ?? false

/** Collects what breaks a promise, once each. */
class Broken {
  readonly list: string[] = []
  promise(kept: boolean, text: () => string): void {
    if (!kept && this.list.length < 5) this.list.push(text())
  }
}

const livesOf = (
  result: StepResult,
): readonly (Command & { runner: string; incarnation: number })[] =>
  result.commands.filter((command) => 'runner' in command)

test.for(worlds)(
  '$climate weather, seed $seed: an ended life gets nothing but the kill',
  ({ climate, seed }) => {
    const broken = new Broken()
    const ended = new Set<string>()
    const gone = new Set<string>()
    const { traffic, fleet } = live({
      ...climates[climate]!(seed),
      watch: (now, event, result) => {
        for (const command of livesOf(result)) {
          const life = `${command.runner}.${command.incarnation}`
          broken.promise(!gone.has(life), () => `${event.at}: ${command.id} after gone`)
          broken.promise(
            !ended.has(life) || command.type === 'kill',
            () => `${event.at}: ${command.id} after terminated`,
          )
        }
        for (const { subject, to } of result.decisions) {
          const life = `${subject.id}.${subject.incarnation}`
          if (subject.kind !== 'runner') continue
          broken.promise(!gone.has(life), () => `${event.at}: a decision on ${life} after gone`)
          if (['stopping', 'killing', 'gone'].includes(to)) ended.add(life)
          if (to === 'gone') gone.add(life)
        }
        for (const runner of now.runners.values())
          broken.promise(!has(runner, 'gone'), () => `${runner.id} is gone and on the books`)
      },
    })
    expect(broken.list).toEqual([])
    expect([traffic.misrouted, traffic.overbooked]).toEqual([[], []])
    expect(gone.size).toBeGreaterThan(3)
    // Nothing that ended is remembered but in the bounded list.
    expect(fleet.owners.length).toBeLessThan(80)
  },
)

test.for(worlds)(
  '$climate weather, seed $seed: doubt needs its number and its age, facts act at once',
  ({ climate, seed }) => {
    const broken = new Broken()
    const before = new Map<
      string,
      { serving: boolean; starting: boolean; flying: number; kind: string }
    >()
    let facts = 0
    const { decisions } = live({
      ...climates[climate]!(seed),
      watch: (fleet, event) => {
        if ('runner' in event && event.runner !== undefined && 'incarnation' in event) {
          const was = before.get(`${event.runner}.${event.incarnation}`)
          const runner = fleet.runners.get(event.runner)
          const same = runner?.incarnation === event.incarnation ? runner : undefined
          const over = same === undefined || has(same, 'terminated') || has(same, 'gone')
          if (was !== undefined && mustEnd(event, was)) {
            facts++
            broken.promise(
              over,
              () => `${event.at} ${event.type} left ${event.runner} ${same?.configuration.word}`,
            )
          }
        }
        before.clear()
        for (const runner of fleet.runners.values())
          before.set(`${runner.id}.${runner.incarnation}`, {
            serving: has(runner, 'serving'),
            starting: has(runner, 'starting'),
            flying: runner.flying,
            kind: runner.flyingKind,
          })
      },
    })
    for (const each of decisions) checkThreshold(each, broken)
    expect(broken.list).toEqual([])
    expect(facts > 0 || climate === 'storm').toBe(true)
  },
)

function mustEnd(
  event: HealthEvent,
  was: { serving: boolean; starting: boolean; flying: number; kind: string },
): boolean {
  if (event.type === 'process.exited') return was.serving || was.starting
  if (event.type === 'setup.failed') return was.starting
  if (event.type === 'probe.failed')
    return was.serving && was.flying === event.probe && ['manual', 'exclusive'].includes(event.kind)
  if (event.type !== 'attempt.ended' || !was.serving) return false
  if (event.headers?.stop === true) return true
  if (event.outcome === 'server_error' && event.headers?.stop === false) return false
  return immediate[event.outcome] !== undefined
}

function checkThreshold(decision: Decision, broken: Broken): void {
  if (decision.rule !== 'health.threshold' || !decision.enforced || decision.to !== 'stopping')
    return
  // A held runner was condemned by an earlier decision, which was looked at when it was written.
  if (decision.from.startsWith('held')) return
  checkStrikes(decision, broken)
}

function checkStrikes(decision: Decision, broken: Broken): void {
  const read = (name: string) => decision.compared.find((each) => each.name === name)
  const [age, failures] = [read('age'), read('failures')]
  broken.promise(
    age !== undefined && age.value >= age.threshold,
    () => `in grace: ${JSON.stringify(decision)}`,
  )
  broken.promise(
    failures !== undefined &&
      failures.value >= failures.threshold &&
      decision.events.length >= failures.threshold,
    () => `too few failures: ${JSON.stringify(decision)}`,
  )
}

test.for(worlds)(
  '$climate weather, seed $seed: each queued request ends once, in at most ten attempts',
  ({ climate, seed }) => {
    const options = climates[climate]!(seed)
    const { traffic, commands } = live(options)
    const requests = traffic.requests.filter((request) => request.state === 'done')
    expect(requests.filter((request) => request.finals !== 1)).toEqual([])
    expect(traffic.requests.filter((request) => request.record.attempts > 10)).toEqual([])
    const delivered = commands.filter((each) => each.type === 'deliver' || each.type === 'reject')
    expect(new Set(delivered.map((each) => each.request)).size).toBe(delivered.length)
    expect(requests.length > 50 || options.requestEveryMs === undefined).toBe(true)
  },
)

test.for(worlds)(
  '$climate weather, seed $seed: what the fleet was told is what the ledger holds',
  ({ climate, seed }) => {
    const broken = new Broken()
    let looked = 0
    const world: WorldOptions = climates[climate]!(seed)
    live({
      ...world,
      watch: (_fleet, event) => {
        if (event.type === 'traffic.counted')
          event.runners.forEach((id, i) => {
            looked++
            broken.promise(
              event.inFlight[i]! >= 0 &&
                event.started[i]! >= 0 &&
                event.ended[i]! >= event.served[i]!,
              () => `${event.at}: ${id} ${event.inFlight[i]} in flight`,
            )
          })
      },
      audit: (fleet, flying) => {
        for (const runner of fleet.runners.values())
          if (has(runner, 'serving'))
            broken.promise(
              runner.counted === flying(runner.id),
              () =>
                `${fleet.now}: ${runner.id} was told ${runner.counted}, callers hold ${flying(runner.id)}`,
            )
      },
    })
    expect(broken.list).toEqual([])
    expect(looked > 100 || world.requestEveryMs === undefined).toBe(true)
  },
)

test.for(Array.from({ length: 40 }, (_, i) => i))(
  'no number of sick runners takes more places than the cap by doubt, seed %i',
  (seed) => {
    const broken = new Broken()
    const lost = new Set<number>()
    const places = new Map<string, number>()
    let most = 0
    live({
      ...climates['storm']!(seed),
      watch: (fleet, event, result) => {
        const app = [...fleet.apps.values()][0]!
        const { capMin, capPercent } = app.policy
        // A place whose successor was ready is whole again in the same step.
        const prune = (): void => {
          for (const number of lost)
            if (!app.places.some((place) => place.number === number && place.out))
              lost.delete(number)
        }
        for (const { rule, to, from, subject } of result.decisions) {
          if (to !== 'stopping' || !doubts.includes(rule) || from.startsWith('starting')) continue
          prune()
          lost.add(places.get(subject.id)!)
          most = Math.max(most, lost.size)
          const cap = Math.max(capMin, Math.floor((capPercent / 100) * app.established))
          broken.promise(
            lost.size <= cap,
            () => `${event.at}: ${lost.size} places lost, the cap is ${cap}`,
          )
        }
        prune()
        places.clear()
        for (const runner of app.runners) places.set(runner.id, runner.place.number)
      },
    })
    expect(broken.list).toEqual([])
    expect(most).toBeGreaterThan(0)
  },
)

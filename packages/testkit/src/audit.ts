/**
 * Looks a fleet over: everything that is kept twice, or could be derived, must agree. It returns what does not, in words; it
 * changes nothing.
 */
import { type Fleet, nextDue } from '@health/core'

type Apps = Fleet['apps'] extends Map<string, infer A> ? A : never
type Runner = Apps['runners'][number]

const has = (runner: Runner, state: string): boolean => runner.configuration.states.has(state)
const over = (runner: Runner | null): boolean =>
  runner === null || has(runner, 'terminated') || has(runner, 'gone')

/** What is wrong with a fleet between two steps; empty when nothing is. */
export function audit(fleet: Fleet): readonly string[] {
  const wrong: string[] = []
  const same = (what: string, kept: unknown, derived: unknown): void => {
    if (JSON.stringify(kept) !== JSON.stringify(derived))
      wrong.push(`${what}: kept ${JSON.stringify(kept)}, derived ${JSON.stringify(derived)}`)
  }
  const runners = [...fleet.runners.values()]
  same(
    'flying',
    fleet.flying,
    runners.filter((runner) => runner.flying > 0 && runner.flyingKind === 'regular').length,
  )
  for (const [slot, owner] of fleet.owners.entries())
    if (owner !== null) same(`owner of ${slot}`, owner.slot, slot)
  const empty = fleet.owners.flatMap((owner, slot) => (owner === null ? [slot] : []))
  same(
    'free slots',
    [...fleet.freeSlots].toSorted((a, b) => a - b),
    empty,
  )
  same(
    'working memory',
    [fleet.asked.length, fleet.examined.length, fleet.dirty.size + fleet.guarded.size],
    [0, 0, 0],
  )
  if (nextDue(fleet) <= fleet.now) wrong.push(`due at ${nextDue(fleet)}, it is ${fleet.now}`)
  for (const app of fleet.apps.values()) auditApp(fleet, app, same, wrong)
  for (const runner of runners) auditRunner(fleet, runner, wrong)
  return wrong
}

function auditApp(
  fleet: Fleet,
  app: Apps,
  same: (what: string, kept: unknown, derived: unknown) => void,
  wrong: string[],
): void {
  const { places, runners } = app
  same(`${app.id} established`, app.established, places.filter((place) => place.established).length)
  same(`${app.id} outs`, app.outs, places.filter((place) => place.out).length)
  same(
    `${app.id} suspects`,
    app.suspects,
    runners.filter((runner) => has(runner, 'failing') || has(runner, 'held')).length,
  )
  same(
    `${app.id} draining`,
    app.draining,
    runners.filter((runner) => has(runner, 'draining')).length,
  )
  same(
    `${app.id} working`,
    app.working,
    runners.reduce((sum, runner) => sum + runner.counted, 0),
  )
  same(
    `${app.id} held`,
    app.held.map((runner) => runner.id).toSorted(),
    runners
      .filter((runner) => has(runner, 'held'))
      .map((runner) => runner.id)
      .toSorted(),
  )
  same(
    `${app.id} working memory`,
    [app.vacant, app.arrivals, app.failedStarts, app.departed].map((list) => list.length),
    [0, 0, 0, 0],
  )
  if (new Set(app.starting).size !== app.starting.length) wrong.push(`${app.id}: starts twice`)
  for (const runner of app.starting)
    if (runner.configuration.word !== 'backoff')
      wrong.push(`${runner.id} waits for a start and is ${runner.configuration.word}`)
  for (const runner of [app.trial, app.canary])
    if (runner !== null && over(runner))
      wrong.push(`${app.id} waits for ${runner.id}, which is over`)
  for (const place of places) {
    const { current, next, number, established, out } = place
    // An adopted server is its own successor: it is out until it is ready again.
    const ended = over(current) || (place.url !== null && has(current!, 'starting'))
    if (established && ended !== out && (ended || next === null))
      wrong.push(`place ${number} of ${app.id} is out: ${out}, its runner is over: ${ended}`)
    if (!established && out) wrong.push(`place ${number} of ${app.id} is out and was never in`)
    if (over(next) && next !== null)
      wrong.push(`place ${number} of ${app.id}: its successor is over`)
    if (place.ready && next !== null && !over(current) && current !== app.canary)
      wrong.push(`place ${number} of ${app.id}: a ready successor waits for nothing`)
    if (ended && next === null && place.url === null)
      wrong.push(`place ${number} of ${app.id} has nobody and waits for nobody`)
  }
  for (const runner of runners)
    if (!over(runner) && runner.place.current !== runner && runner.place.next !== runner) {
      // It was replaced and finishes what it holds.
      if (!has(runner, 'draining')) wrong.push(`${runner.id} has no place`)
    }
  if (app.gone.length > 1_000) wrong.push(`${app.id} remembers ${app.gone.length} runners`)
  if (fleet.alerted.size > 10_001) wrong.push(`${fleet.alerted.size} alerts are remembered`)
}

function auditRunner(fleet: Fleet, runner: Runner, wrong: string[]): void {
  const { app, id, slot, flying, wanted, context } = runner
  const { policy } = app
  const serving = has(runner, 'serving')
  if (app.runners.indexOf(runner) < 0) wrong.push(`${id} is not on its app's list`)
  const calm = serving && has(runner, 'ready') && has(runner, 'open')
  const seated = runner.seat < 0 ? undefined : fleet.load?.calm[runner.seat]
  if (seated !== undefined && seated !== (calm ? runner.incarnation : 0))
    wrong.push(`${id} sits as life ${seated}, calm is ${calm}`)
  const due = fleet.probes.due(slot)
  if (serving && policy.hasCheck && policy.callRegularly && Number.isNaN(due))
    wrong.push(`${id} serves and no check of it is due`)
  if (over(runner)) {
    if (!Number.isNaN(due)) wrong.push(`${id} is over and has a check due`)
    if (flying > 0) wrong.push(`${id} is over and has a check in flight`)
  }
  const waits = has(runner, 'paused') || !Number.isNaN(fleet.rare.due(slot * 3 + 1))
  if (serving && wanted !== null && flying === 0 && !waits)
    wrong.push(`${id} wants a ${wanted} check that nothing will start`)
  const skipped = has(runner, 'draining') && policy.exclusive
  if (has(runner, 'verifying') && flying === 0 && !waits && !skipped)
    wrong.push(`${id} is verifying (${context.asked}) and nothing will answer`)
  if (has(runner, 'setup') && flying === 0 && Number.isNaN(due))
    wrong.push(`${id} is in setup and nobody looks at its port or its check`)
  if (
    has(runner, 'backoff') &&
    !app.starting.includes(runner) &&
    Number.isNaN(fleet.deadlines.due(slot))
  )
    wrong.push(`${id} waits in backoff and nothing will start it`)
}

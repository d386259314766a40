/** One event, one comparison, one decision in plain words. It reads what the record says and adds nothing to it. */
import type { Compared, Decision } from './decision.ts'
import type { HealthEvent } from './event.ts'
import { describeNodeFact } from './node-text.ts'
import { factOf, holds, isDoubt } from './tunable-number.ts'

/** A time as people say it: milliseconds below a second, hundredths below ten. */
function seconds(ms: number): string {
  const size = Math.abs(ms)
  if (size < 1000) return `${Math.round(ms)} ms`
  const unit = size < 10_000 ? 10 : 100
  return `${(Math.round(ms / unit) * unit) / 1000} s`
}

/** One event in plain words. `about`: whose story it is part of, so that its name is not said again. */
export function describe(
  event: HealthEvent,
  about: Decision['subject']['kind'] = 'runner',
): string {
  switch (event.type) {
    case 'probe.failed':
      return `${event.kind} check failed: ${event.why === 'status' ? `status ${event.status ?? '?'}` : (event.why ?? event.detail ?? 'no answer')} after ${seconds(event.latencyMs)}`
    case 'probe.passed':
      return `${event.kind} check passed in ${seconds(event.latencyMs)}`
    case 'probe.errored':
      return `${event.kind} check could not be made by us (${event.detail ?? event.why ?? 'unknown'}); it accuses nobody`
    case 'attempt.ended':
      return `attempt ${event.attempt} ${about === 'request' ? `on ${event.runner || 'no runner'}` : `of request ${event.request}`} ended: ${event.outcome}${event.status === null ? '' : `, status ${event.status}`}${event.cut === undefined ? '' : `, ${event.cut}`}`
    case 'process.exited':
      return `process ended${event.code === null ? '' : ` with code ${event.code}`}${event.signal === null ? '' : ` by ${event.signal}`}`
    case 'process.started':
      return `process started${event.pid === null ? '' : ` with pid ${event.pid}`}`
    case 'port.opened':
      return `port opened after ${seconds(event.latencyMs)}`
    case 'provision.refused':
      return `start refused: ${event.why}, ${event.detail}`
    case 'setup.failed':
      return `setup failed: ${event.detail}`
    case 'order.stop':
    case 'order.drain':
      return `${event.type.slice(6)} ordered by ${event.by}${event.replace === true ? ', successor first' : ''}`
    case 'order.kill':
      // It does not wait, for a successor neither.
      return `kill ordered by ${event.by}`
    case 'order.check':
      return `${event.manual ? 'manual' : 'regular'} check ordered by ${event.by}`
    case 'request.cancelled':
      return `cancel asked for (${event.cause})`
    case 'request.expired':
      return 'the time-to-start limit passed'
    case 'lease.expired':
      return `the lease of attempt ${event.attempt} passed without a result`
    case 'clock.resumed':
      return `the supervisor had stood still for ${seconds(event.gapMs)}`
    case 'core.started':
      return `a supervisor began (version ${event.version})`
    case 'work.counted':
      return `${event.inFlight} in flight`
    case 'traffic.counted':
      return `traffic of ${event.app}: ${event.waiting} waiting, ${event.queued} queued`
    case 'app.configured':
      return `app ${event.app} configured`
    case 'policy.configured':
      return `global tunables configured: ${JSON.stringify(event.policy)}`
    case 'policy.changed':
      return `policy changed by ${event.by}: ${JSON.stringify(event.change)}`
    case 'app.removed':
      return `app ${event.app} left the configuration`
    case 'process.adopted':
      return 'the process of an earlier supervisor was taken over'
    case 'control.ended':
      return `our own control probe ${event.passed ? 'passed' : 'failed'}`
    case 'heartbeat.received':
      return 'a sign of life'
    case 'attempt.stalled':
      return `no byte of any answer came for long, with ${event.inFlight} in flight`
    case 'order.start':
      return `another try of ${event.app} ordered by ${event.by}`
    case 'order.shutdown':
      return `the end of the fleet ordered by ${event.by}${event.keepRunners ? ', runners stay' : ''}`
    default:
      return 'node' in event || event.type === 'order.close-breaker'
        ? describeNodeFact(event)
        : event.type
  }
}

/** What a reading is measured in, by the end of its name; what has none is counted. */
const units: readonly (readonly [end: RegExp, tell: (value: number) => string])[] = [
  [/Ms$/, seconds],
  [/C$/, (value) => `${round(value)} °C`],
  [/Percent$/, (value) => `${round(value)} %`],
]
const round = (value: number): number => Math.round(value * 100) / 100

/** One comparison: `failures 3 >= 3 (failureThreshold)`, or `failures 1, not >= 3 (failureThreshold)`. */
export function tellComparison(compared: Compared): string {
  const { name, value, op, threshold, option } = compared
  const unit = units.find(([end]) => end.test(name))
  const timed = option?.endsWith('Seconds') === true
  const show = unit?.[1] ?? (timed ? seconds : (number: number) => String(round(number)))
  const words = (unit === undefined ? name : name.replace(unit[0], '')).replace(
    /[A-Z]/g,
    (letter) => ` ${letter.toLowerCase()}`,
  )
  const read = `${words} ${show(value)}${holds(compared) ? '' : ', not'} ${op} ${show(threshold)}`
  return option === null ? read : `${read} (${option})`
}

/** Why a verdict was not carried out, and what becomes of it. */
function tellWithheld({ because, compared, rule }: Decision): string {
  const of = (name: string): Compared | undefined => compared.find((each) => each.name === name)
  const keeps = 'it keeps its work, gets new work last, and is asked again'
  switch (because) {
    case 'guard.cap': {
      const out = of('out')
      return `${out?.value === 1 ? '1 place' : `${out?.value ?? 'too many'} places`} of the app would be out and ${out?.threshold ?? 'fewer'} may be (capPercent, capMin); ${keeps} when a place comes back`
    }
    case 'guard.panic': {
      const doubted = of('doubted')
      if (doubted !== undefined && holds(doubted))
        return `a panic is over only when fewer than ${doubted.threshold} runners (panicPercent, panicMin) are doubted for panicCooldownSeconds; until then endings go one at a time, successor first; ${keeps} in its turn`
      return `${doubted?.value ?? 'too many'} runners are doubted at once and ${doubted?.threshold ?? 'fewer'} are a panic (panicPercent, panicMin), so the checker is as likely to be wrong; endings go one at a time, successor first; ${keeps} in its turn`
    }
    case 'guard.rate':
      return `endings by doubt come too fast (doubtPerSecond, doubtBurst); ${keeps} when the rate allows`
    case 'guard.self':
      return 'our own checker is unwell or stood still, so its verdict is void; the count stays and the next counted failure asks again'
    case 'guard.dry_run':
      return 'the rule only observes (dryRun)'
    case 'node.breaker':
      return 'too many nodes would leave service at once; a person decides'
    case 'health.grace':
      return 'the runner is in its start period'
    case null:
    case rule:
      return 'it is only recorded'
    default:
      return `because of ${because}`
  }
}

/** One decision: what it changed or would have changed, by which rule, and what it looked at. */
export function tellDecision(decision: Decision): string {
  const { from, to, rule, enforced, compared } = decision
  const why = factOf(rule)
  // A clock reading tells a person nothing; the guard that read it says so in words.
  const read = compared.filter(({ name }) => name !== 'now')
  const looked = read.length === 0 ? '' : `; looked at ${read.map(tellComparison).join('; ')}`
  const moved = from === to ? `${from} stays` : `${from} → ${to}`
  if (!enforced) return `${moved}, ${rule} is not enforced: ${tellWithheld(decision)}${looked}`
  return `${moved} by ${rule}${why === undefined || isDoubt(decision) ? '' : `: ${why}`}${looked}`
}

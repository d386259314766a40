/**
 * Facts from outside, as `POST /v1/events` takes them: one or a list, all checked against the core's table before any of them
 * is told. Time and number are the gateway's to give.
 */
import { checkEvent, type HealthEvent } from '@health/core'
import { refuse } from './error-answer.ts'

/** Most facts of one call. */
const MAX_FACTS = 1000

type Timeless<T> = T extends unknown ? Omit<T, 'at' | 'seq'> : never

/** The facts of a body, all of them or none. Throws HEALTH_EVENT_INVALID with the path of the field. */
export function readFacts(body: unknown): readonly Timeless<HealthEvent>[] {
  if (!Array.isArray(body)) return [checkEvent(body) as Timeless<HealthEvent>]
  if (body.length > MAX_FACTS)
    refuse(422, 'invalid_value', `A call may carry ${MAX_FACTS} events.`, { path: '' })
  return body.map((fact, i) => checkEvent(fact, `[${i}]`) as Timeless<HealthEvent>)
}

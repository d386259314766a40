/** Checks facts from outside against their shapes, field by field, before anybody judges them. It knows no rule. */
import { HealthError } from './error.ts'
import type { HealthEvent } from './event.ts'
import { type EventShape, eventShapes, type FieldKind } from './event-shape.ts'
import { checkDevices } from './gpu-shape.ts'
import { nearest } from './option.ts'

const MAX_TEXT = 10_000
const MAX_LIST = 100_000

function matches(kind: FieldKind, value: unknown): boolean {
  if (kind.endsWith('?'))
    return value === undefined || matches(kind.slice(0, -1) as FieldKind, value)
  if (kind.endsWith('|null'))
    return value === null || matches(kind.slice(0, -5) as FieldKind, value)
  if (kind.startsWith('one of '))
    return typeof value === 'string' && kind.slice(7).split(',').includes(value)
  switch (kind) {
    case 'text':
      return typeof value === 'string' && value.length <= MAX_TEXT
    case 'count':
      return Number.isInteger(value) && Math.abs(value as number) <= Number.MAX_SAFE_INTEGER
    case 'ms':
      return typeof value === 'number' && Number.isFinite(value) && value >= 0
    case 'flag':
      return typeof value === 'boolean'
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    case 'texts':
      return (
        Array.isArray(value) &&
        value.length <= MAX_LIST &&
        value.every((item) => matches('text', item))
      )
    case 'counts':
      return (
        Array.isArray(value) &&
        value.length <= MAX_LIST &&
        value.every((item) => matches('count', item))
      )
    case 'objects':
      return (
        Array.isArray(value) &&
        value.length <= MAX_LIST &&
        value.every((item) => matches('object', item))
      )
    default:
      return false
  }
}

const refuse = (message: string, path: string): never => {
  throw new HealthError('HEALTH_EVENT_INVALID', message, path)
}

/**
 * Checks a fact from outside: known type, known fields, right kinds. `at` and `seq` must be absent; the caller adds `at`. Throws
 * HEALTH_EVENT_INVALID with the path of the field.
 */
export function checkEvent(value: unknown, path = ''): Omit<HealthEvent, 'at' | 'seq'> {
  const under = (name: string): string => (path === '' ? name : `${path}.${name}`)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse(`${path || 'the event'} is not an object.`, path)
  const event = value as Record<string, unknown>
  const { type } = event
  if (typeof type !== 'string' || !Object.hasOwn(eventShapes, type))
    return refuse(
      `${under('type')} is ${JSON.stringify(type) ?? 'absent'}; the nearest event is ${nearest(String(type), Object.keys(eventShapes))}.`,
      under('type'),
    )
  const fields: Readonly<Record<string, FieldKind>> = (
    eventShapes as Readonly<Record<string, EventShape>>
  )[type]!.fields
  for (const name of Object.keys(event)) {
    if (name === 'type') continue
    if (name === 'at' || name === 'seq')
      refuse(`${under(name)} is set by the gateway and must not be given.`, under(name))
    if (!Object.hasOwn(fields, name))
      refuse(
        `${under(name)} is not a field of ${type}; the nearest is ${nearest(name, Object.keys(fields))}.`,
        under(name),
      )
  }
  for (const [name, kind] of Object.entries(fields))
    if (!matches(kind, event[name]))
      refuse(
        `${under(name)} is ${JSON.stringify(event[name]) ?? 'absent'}; allowed is ${kind}.`,
        under(name),
      )
  if (type === 'gpu.sampled') checkDevices(event.devices as unknown[], under('devices'))
  if (type === 'traffic.counted') {
    const lengths = ['runners', 'started', 'ended', 'served', 'inFlight'].map(
      (name) => (event[name] as unknown[]).length,
    )
    if (lengths.some((length) => length !== lengths[0]))
      refuse(`${under('runners')} and its arrays differ in length.`, under('runners'))
  }
  return event as unknown as Omit<HealthEvent, 'at' | 'seq'>
}

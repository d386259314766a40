/** Checks facts from outside against their shapes, field by field, before anybody judges them. It knows no rule. */
import { HealthError } from './error.ts'
import type { HealthEvent } from './event.ts'
import { type EventShape, eventShapes, type FieldKind, objectShapes } from './event-shape.ts'
import { checkDevices } from './gpu-shape.ts'
import { nearest } from './option.ts'
import { quote } from './quote.ts'

const MAX_TEXT = 10_000
const MAX_LIST = 100_000
const shapes: Readonly<Record<string, Readonly<Record<string, FieldKind>>>> = objectShapes

function matches(kind: FieldKind, value: unknown): boolean {
  if (kind.endsWith('?'))
    return value === undefined || matches(kind.slice(0, -1) as FieldKind, value)
  if (kind.endsWith('|null'))
    return value === null || matches(kind.slice(0, -5) as FieldKind, value)
  if (kind.startsWith('one of '))
    return typeof value === 'string' && kind.slice(7).split(',').includes(value)
  switch (kind as string) {
    case 'text':
      return typeof value === 'string' && value.length <= MAX_TEXT
    case 'count':
      return Number.isSafeInteger(value) && (value as number) >= 0
    case 'integer':
      return Number.isSafeInteger(value)
    case 'ms':
      return typeof value === 'number' && Number.isFinite(value) && value >= 0
    case 'flag':
      return typeof value === 'boolean'
    case 'texts':
      return isListOf('text', value)
    case 'counts':
      return isListOf('count', value)
    case 'objects':
      return isListOf('object', value)
    case 'tallies':
      return isObject(value) && Object.values(value).every((item) => matches('count', item))
    case 'object':
    // What they hold is looked at field by field.
    case 'headers':
    case 'record':
      return isObject(value)
    default:
      return false
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isListOf = (kind: FieldKind, value: unknown): boolean =>
  Array.isArray(value) && value.length <= MAX_LIST && value.every((item) => matches(kind, item))

const refuse = (message: string, path: string): never => {
  throw new HealthError('HEALTH_EVENT_INVALID', message, path)
}

/** `of`: whose fields they are; its `type` was looked at before. */
function checkFields(
  fields: Readonly<Record<string, FieldKind>>,
  value: Readonly<Record<string, unknown>>,
  of: string,
  under: (name: string) => string,
): void {
  for (const name of Object.keys(value))
    if (!Object.hasOwn(fields, name) && !(name === 'type' && of === value[name]))
      refuse(
        `${under(name)} is not a field of ${of}; the nearest is ${nearest(name, Object.keys(fields))}.`,
        under(name),
      )
  for (const [name, kind] of Object.entries(fields)) {
    const field = value[name]
    if (!matches(kind, field))
      refuse(
        `${under(name)} is ${field === undefined ? 'absent' : quote(field)}; allowed is ${kind}.`,
        under(name),
      )
    const shape = shapes[kind.replace('?', '')]
    if (shape !== undefined && isObject(field))
      checkFields(shape, field, `${of}.${name}`, (inner) => `${under(name)}.${inner}`)
  }
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
      `${under('type')} is ${type === undefined ? 'absent' : quote(type)}; the nearest event is ${nearest(typeof type === 'string' ? type : '', Object.keys(eventShapes))}.`,
      under('type'),
    )
  const fields: Readonly<Record<string, FieldKind>> = (
    eventShapes as Readonly<Record<string, EventShape>>
  )[type]!.fields
  for (const name of ['at', 'seq'])
    if (Object.hasOwn(event, name))
      refuse(`${under(name)} is set by the gateway and must not be given.`, under(name))
  checkFields(fields, event, type, under)
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

/**
 * Tables as JSON Schemas: the kinds of an event's fields and of options, in the words that OpenAPI knows. It knows no event and no option
 * by name.
 */
import { objectShapes, type OptionSpec } from '@health/core'

/** A JSON Schema (2020-12, as OpenAPI 3.1 has it). */
export interface Schema {
  readonly [keyword: string]: unknown
}

/** A reference to a named schema. */
export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })

/** Any text. */
export const text: Schema = { type: 'string' }
/** A whole number from 0. */
export const count: Schema = { type: 'integer', minimum: 0 }
/** Any number. */
export const number: Schema = { type: 'number' }
/** true or false. */
export const flag: Schema = { type: 'boolean' }
/** A date, ISO 8601 UTC. */
export const date: Schema = { type: 'string', format: 'date-time' }
/** A list. */
export const list = (items: Schema): Schema => ({ type: 'array', items })
/** One of some words. */
export const oneOf = (words: Iterable<string>): Schema => ({ type: 'string', enum: [...words] })
/** That, or null. */
export const orNull = (schema: Schema): Schema => ({ anyOf: [schema, { type: 'null' }] })
/** An object of any names. */
export const map = (values: Schema): Schema => ({ type: 'object', additionalProperties: values })

/** An object with exactly these fields; those in `optional` may be absent. */
export function object(
  fields: Readonly<Record<string, Schema>>,
  optional: readonly string[] = [],
): Schema {
  const required = Object.keys(fields).filter((name) => !optional.includes(name))
  return {
    type: 'object',
    properties: fields,
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  }
}

/** One field of an event, by its kind in the table. */
export function fieldSchema(kind: string): Schema {
  if (kind.endsWith('?')) return fieldSchema(kind.slice(0, -1))
  if (kind.endsWith('|null')) return orNull(fieldSchema(kind.slice(0, -5)))
  if (kind.startsWith('one of ')) return oneOf(kind.slice(7).split(','))
  switch (kind) {
    case 'text':
      return { type: 'string', maxLength: 10_000 }
    case 'count':
      return count
    case 'integer':
      return { type: 'integer' }
    case 'tallies':
      return map(count)
    case 'ms':
      return { type: 'number', minimum: 0, description: 'milliseconds' }
    case 'flag':
      return flag
    case 'object':
      return { type: 'object' }
    case 'texts':
      return { ...list({ type: 'string', maxLength: 10_000 }), maxItems: 100_000 }
    case 'counts':
      return { ...list(count), maxItems: 100_000 }
    case 'objects':
      return list({ type: 'object' })
    case 'headers':
    case 'record':
      return fieldsSchema(objectShapes[kind])
    default:
      throw new Error(`the table of events has a kind that has no schema: ${kind}`)
  }
}

/** The fields of an event, or of an object in it, by their kinds. */
export function fieldsSchema(fields: Readonly<Record<string, string>>): Schema {
  const kinds = Object.entries(fields)
  return object(
    Object.fromEntries(kinds.map(([name, kind]) => [name, fieldSchema(kind)])),
    kinds.flatMap(([name, kind]) => (kind.endsWith('?') ? [name] : [])),
  )
}

/** One option, by its line in the table. */
export function optionSchema(spec: OptionSpec): Schema {
  const about = {
    description: spec.reason,
    ...(spec.default !== null && { default: spec.default }),
  }
  switch (spec.kind) {
    case 'boolean':
      return { ...flag, ...about }
    case 'word':
      return { ...oneOf(spec.words), ...about }
    case 'list':
      return { ...list(spec.words === undefined ? text : oneOf(spec.words)), ...about }
    case 'path':
      return { ...text, pattern: '^/[^\\s#]*$', ...about }
    case 'object':
      return { type: 'object', ...about }
    case 'seconds':
    case 'integer':
    case 'number':
    case 'percent': {
      const plain: Schema = {
        type: spec.kind === 'integer' ? 'integer' : 'number',
        [spec.above === true ? 'exclusiveMinimum' : 'minimum']: spec.min,
        ...(spec.max !== undefined && { maximum: spec.max }),
      }
      return { ...(spec.nullable === true ? orNull(plain) : plain), ...about }
    }
    default:
      return spec satisfies never
  }
}

/** Options by name. */
export const options = (
  specs: Readonly<Record<string, OptionSpec>>,
): Readonly<Record<string, Schema>> =>
  Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, optionSchema(spec)]))

/** Any of them, none required; null removes an override. */
export function overrides(specs: Readonly<Record<string, OptionSpec>>): Schema {
  return {
    type: 'object',
    properties: Object.fromEntries(
      Object.entries(options(specs)).map(([name, schema]) => [name, orNull(schema)]),
    ),
    additionalProperties: false,
  }
}

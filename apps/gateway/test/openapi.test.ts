/** The API description: well-formed OpenAPI 3.1, as complete as the routes, and as strict as what checks events and options. */
import { readFileSync } from 'node:fs'
import {
  appOptions,
  checkEvent,
  checkOption,
  deviceFields,
  eventShapes,
  healthCheckOptions,
  NEW_RECORD,
  nodeTunables,
  type OptionSpec,
  tunables,
} from '@health/core'
import { describe, expect, test } from 'vitest'
import { optionSchema } from '../src/json-schema.ts'
import { describeApi, type ServedRoute } from '../src/openapi.ts'
import { operations } from '../src/openapi-operation.ts'
import { schemas } from '../src/openapi-schema.ts'
import { type Schema, violations } from './schema-check.ts'

/** Every operation served, each at its own path. */
const routes: readonly ServedRoute[] = Object.entries(operations).map(([key, { route }]) => {
  const [method, path] = key.split(' ') as [string, string]
  return { method, url: route ?? path.replaceAll(/\{([a-z]+)\}/gi, ':$1'), access: 'read' }
})
const api = JSON.parse(JSON.stringify(describeApi(routes, '1.2.3'))) as {
  readonly openapi: string
  readonly info: Readonly<Record<string, unknown>>
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>
    readonly securitySchemes: Readonly<Record<string, unknown>>
  }
}
interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly parameters: readonly {
    readonly name: string
    readonly in: string
    readonly required: boolean
    readonly schema: Schema
  }[]
  readonly security: readonly Readonly<Record<string, readonly string[]>>[]
  readonly requestBody?: { readonly content: Readonly<Record<string, object>> }
  readonly responses: Readonly<
    Record<
      string,
      { readonly description: string; readonly content?: Readonly<Record<string, object>> }
    >
  >
}
const all = Object.entries(api.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
)
const named = api.components.schemas

describe('OpenAPI 3.1', () => {
  test('the document has what it must have', () => {
    expect(api.openapi).toMatch(/^3\.1\.\d$/)
    expect(api.info).toMatchObject({ title: expect.any(String), version: '1.2.3' })
    for (const path of Object.keys(api.paths)) expect(path).toMatch(/^\/[^?#]*$/)
    for (const name of [...Object.keys(named), ...Object.keys(api.components.securitySchemes)])
      expect(name).toMatch(/^[a-zA-Z0-9._-]+$/)
    expect(all.length).toBe(Object.keys(operations).length)
  })

  test('paths that differ only in the names of their parameters are one', () => {
    const bare = Object.keys(api.paths).map((path) => path.replaceAll(/\{[^}]+\}/g, '{}'))
    expect(new Set(bare).size).toBe(bare.length)
  })

  test('every operation has an id of its own, a sentence, its path parameters, a described answer', () => {
    const ids = all.map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { path, method, operation } of all) {
      expect(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']).toContain(
        method,
      )
      expect(operation.summary).toMatch(/^[A-Z].*\.$/)
      const inPath = operation.parameters.filter((each) => each.in === 'path')
      expect(inPath.map(({ name }) => `{${name}}`)).toEqual(path.match(/\{[^}]+\}/g) ?? [])
      expect(inPath.every(({ required }) => required)).toBe(true)
      const keys = operation.parameters.map((each) => `${each.in} ${each.name}`)
      expect(new Set(keys).size).toBe(keys.length)
      for (const [status, { description }] of Object.entries(operation.responses)) {
        expect(status).toMatch(/^([1-5]\d\d|default)$/)
        expect([operation.operationId, status, description]).not.toContain('')
      }
      // What this version does not have has no other answer.
      const statuses = Object.keys(operation.responses).map(Number).filter(Number.isInteger)
      expect(statuses.some((status) => status < 400 || status === 501)).toBe(true)
      expect(operation.requestBody === undefined || method !== 'get').toBe(true)
      for (const scheme of operation.security.flatMap(Object.keys))
        expect(api.components.securitySchemes).toHaveProperty(scheme)
    }
  })

  test('every reference leads somewhere, and no schema lies unused', () => {
    const used = new Set(
      [...JSON.stringify(api).matchAll(/#\/components\/schemas\/([^"]+)"/g)].map(
        ([, name]) => name!,
      ),
    )
    expect([...used].filter((name) => !Object.hasOwn(named, name))).toEqual([])
    expect(Object.keys(named).filter((name) => !used.has(name))).toEqual([])
  })

  test('every schema uses only keywords that are known, with operands of the right kind', () => {
    for (const schema of Object.values(named)) {
      // The checker refuses what it does not know, whatever the value.
      for (const value of [{}, [], 'x', 1, true, null])
        expect(() => violations(schema, value, named)).not.toThrow()
    }
  })
})

/** A value of a kind in the table of events; `bad`: one that is not. */
const sample = (kind: string): { readonly good: unknown; readonly bad: unknown } => {
  if (kind.endsWith('?')) return sample(kind.slice(0, -1))
  if (kind.endsWith('|null')) return { ...sample(kind.slice(0, -5)), good: null }
  if (kind.startsWith('one of ')) return { good: kind.slice(7).split(',')[0], bad: 'no such word' }
  const values: Readonly<Record<string, { readonly good: unknown; readonly bad: unknown }>> = {
    text: { good: 'x', bad: 1 },
    count: { good: 3, bad: -1 },
    integer: { good: -3, bad: 1.5 },
    tallies: { good: { timeout: 1 }, bad: { timeout: -1 } },
    headers: { good: { stop: true, retryAfterMs: 5 }, bad: { stop: 1 } },
    record: { good: NEW_RECORD, bad: { ...NEW_RECORD, attempts: -1 } },
    ms: { good: 2.5, bad: -1 },
    flag: { good: true, bad: 'true' },
    object: { good: {}, bad: [] },
    texts: { good: ['x'], bad: [1] },
    counts: { good: [1], bad: ['x'] },
    objects: { good: [{ uuid: 'GPU-1' }], bad: {} },
  }
  return values[kind]!
}
const takes = (event: unknown): boolean => {
  try {
    checkEvent(event)
    return true
  } catch {
    return false
  }
}

describe('events are described as strictly as they are checked', () => {
  const kinds = Object.entries(eventShapes).filter(([type]) => type !== 'time.passed')

  test('every fact is there, and no other', () => {
    const described = Object.keys(named).filter((name) => name.startsWith('Event.'))
    expect(described.map((name) => name.slice('Event.'.length)).toSorted()).toEqual(
      kinds.map(([type]) => type).toSorted(),
    )
  })

  test.for(kinds)('%s', ([type, { fields }]) => {
    const names = Object.entries(fields as Readonly<Record<string, string>>)
    const good: Record<string, unknown> = { type }
    for (const [name, kind] of names) good[name] = sample(kind).good
    const cases: unknown[] = [
      good,
      { ...good, more: 1 },
      { ...good, at: 1 },
      { ...good, seq: 1 },
      { ...good, type: 'no.such.event' },
    ]
    for (const [name, kind] of names) {
      cases.push({ ...good, [name]: sample(kind).bad })
      const { [name]: _, ...without } = good
      cases.push(without)
      cases.push({ ...good, [name]: null })
    }
    for (const event of cases)
      expect([event, violations(named['Event']!, event, named).length === 0]).toEqual([
        event,
        takes(event),
      ])
    expect(takes(good)).toBe(true)
  })

  test('samples of devices are described field by field', () => {
    expect(Object.keys((named['DeviceSample'] as { properties: object }).properties)).toEqual(
      Object.keys(deviceFields),
    )
    for (const device of [
      { uuid: 'x' },
      { uuid: 'x', temperatureC: 'hot' },
      { uuid: 'x', more: 1 },
      {},
    ]) {
      const event = { type: 'gpu.sampled', node: 'n', devices: [device] }
      expect([device, violations(named['Event']!, event, named).length === 0]).toEqual([
        device,
        takes(event),
      ])
    }
  })
})

describe('options are described as strictly as they are checked', () => {
  const specs: Readonly<Record<string, OptionSpec>> = {
    ...healthCheckOptions,
    ...appOptions,
    ...tunables,
    ...nodeTunables,
  }
  const values = [
    0,
    0.05,
    1,
    1.5,
    10,
    30,
    31,
    64,
    65,
    100,
    101,
    1e8,
    -1,
    true,
    false,
    'GET',
    'any',
    '/x',
    'x y',
    '',
    [],
    ['timeout'],
    [1],
    {},
    null,
  ]

  test.for(Object.entries(specs))('%s', ([name, spec]) => {
    const accepts = (value: unknown): boolean => {
      try {
        checkOption(name, spec, value)
        return true
      } catch {
        return false
      }
    }
    for (const value of values)
      expect([value, violations(optionSchema(spec), value, named).length === 0]).toEqual([
        value,
        accepts(value),
      ])
  })

  test('a change of policy may name every tunable, and null removes one', () => {
    const { properties } = named['PolicyChange'] as { properties: object }
    expect(Object.keys(properties).toSorted()).toEqual(
      [...Object.keys(tunables), ...Object.keys(nodeTunables)].toSorted(),
    )
    expect(violations(named['PolicyChange']!, { capMin: null, tempHighC: 80 }, named)).toEqual([])
    expect(violations(named['PolicyChange']!, { capMin: -1 }, named)).not.toEqual([])
  })
})

test('a substate is one of the words that people read, each once', () => {
  const { enum: words } = (schemas['Runner'] as { properties: { substate: { enum: string[] } } })
    .properties.substate
  const plain =
    'provisioning setup backoff idle busy verifying failing held stopping killing gone'.split(' ')
  expect(words.filter((word) => !word.includes('+')).toSorted()).toEqual(plain.toSorted())
  expect(new Set(words).size).toBe(words.length)
  for (const word of words)
    expect([word, plain.includes(word.replace(/\+(draining|paused)$/, ''))]).toEqual([word, true])
  expect(words).toEqual(expect.arrayContaining(['idle+paused', 'busy+draining', 'held+draining']))
})

test('the description is made from the tables, not written beside them', () => {
  const source = readFileSync(new URL('../src/openapi-schema.ts', import.meta.url), 'utf8')
  expect(source).not.toContain('probe.failed')
  expect(source).not.toContain('failureThreshold')
})

// Keys, scopes, and the rules of a gateway without keys.
import { describe, expect, test } from 'vitest'
import { createGate, isLoopbackHost, isOwnOrigin } from '../src/auth.ts'
import { isCallPath, preflight } from '../src/cors.ts'

describe('a gate', () => {
  const gate = createGate(() => ({
    keys: ['caller', 'id:secret', 'both'],
    readKeys: ['reader'],
    adminKeys: ['boss', 'both'],
  }))
  test.for([
    ['Key caller', 'call'],
    ['Key id:secret', 'call'],
    ['Bearer caller', 'call'],
    ['key  caller ', 'call'],
    ['Key reader', 'read'],
    ['Key boss', 'admin'],
    ['Key both', 'admin'],
    ['Key', null],
    ['Key ', null],
    ['caller', null],
    ['Basic caller', null],
    ['Key CALLER', null],
    ['Key caller2', null],
    [`Key ${'a'.repeat(5000)}`, null],
    [undefined, null],
  ] as const)('%s is %s', ([header, scope]) => {
    expect(gate.caller(header)?.scope ?? null).toBe(scope)
  })
  test('owners differ by key, never hold one, and are the same after a restart', () => {
    const owner = (key: string, of = gate): string => of.caller(`Key ${key}`)!.owner
    expect(owner('caller')).not.toBe(owner('id:secret'))
    expect(owner('caller')).toMatch(/^[0-9a-f]{32}$/)
    expect(
      owner(
        'caller',
        createGate(() => ({ keys: ['caller'], readKeys: [], adminKeys: [] })),
      ),
    ).toBe(owner('caller'))
  })
  test('an owner may do what its key may now', () => {
    let keys = { keys: ['caller'], readKeys: ['reader'], adminKeys: [] as string[] }
    const changing = createGate(() => keys)
    const { owner } = changing.caller('Key reader')!
    expect(changing.scopeOf(owner)).toBe('read')
    keys = { keys: ['reader'], readKeys: [], adminKeys: [] }
    expect(changing.scopeOf(owner)).toBe('call')
    keys = { keys: ['caller'], readKeys: [], adminKeys: [] }
    expect([changing.scopeOf(owner), changing.scopeOf('')]).toEqual([null, null])
  })
  test('without keys anybody may', () => {
    const open = createGate(() => ({ keys: [], readKeys: [], adminKeys: [] }))
    expect([open.isOpen, open.caller(undefined)]).toEqual([true, { scope: 'admin', owner: '' }])
  })
})

test.for([
  ['localhost', true],
  ['localhost:8080', true],
  ['LOCALHOST', true],
  ['127.0.0.1:1', true],
  ['127.1.2.3', true],
  ['[::1]:8080', true],
  ['localhost.evil.example', false],
  ['127.0.0.1.evil.example', false],
  ['evil.example', false],
  ['128.0.0.1', false],
  ['', false],
  [undefined, false],
] as const)('Host %s is of this machine: %s', ([host, expected]) => {
  expect(isLoopbackHost(host)).toBe(expected)
})

test.for([
  [undefined, 'localhost:1', true],
  ['http://localhost:1', 'localhost:1', true],
  ['https://localhost:1', 'localhost:1', true],
  ['http://localhost:2', 'localhost:1', false],
  ['null', 'localhost:1', false],
  ['https://evil.example', 'localhost:1', false],
  ['http://undefined', undefined, false],
] as const)('Origin %s at %s is our own: %s', ([origin, host, expected]) => {
  expect(isOwnOrigin(origin, host)).toBe(expected)
})

test.for([
  ['authorization, x-fal-y', 'authorization, x-fal-y'],
  [undefined, 'authorization, content-type, accept'],
  ['evil\r\nset-cookie: a', 'authorization, content-type, accept'],
  ['a'.repeat(4097), 'authorization, content-type, accept'],
] as const)('a preflight that asks for %j', ([asked, allowed]) => {
  expect(Object.fromEntries(preflight(asked))['access-control-allow-headers']).toBe(allowed)
})

test.for([
  ['/run/a/b', true],
  ['/queue/a/b/requests/1', true],
  ['/rest/tokens/', true],
  ['/proxy', true],
  ['/proxy?x=1', true],
  ['/proxyless', false],
  ['/run', false],
  ['/v1/runners', false],
  ['/metrics', false],
  ['/', false],
] as const)('pages of other sites may call %s: %s', ([url, expected]) => {
  expect(isCallPath(url)).toBe(expected)
})

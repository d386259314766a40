/**
 * Who is calling and what that caller may do: keys by scope, and without any keys the loopback rules that keep web pages away
 * from orders. It compares digests in constant time and never keeps, logs or returns a key.
 */
import { createHash, timingSafeEqual } from 'node:crypto'

/**
 * What a route asks for. `open` needs nothing; `page` is the console, open with keys and guarded like `/v1` without; `own` is any
 * key's below `/v1`, for what is its own; `runner` is an admin's or, with its token, the runner's own.
 */
export type Access = 'open' | 'page' | 'call' | 'own' | 'read' | 'admin' | 'runner'

/** Keys by scope, as configured. */
export interface Keys {
  readonly keys: readonly string[]
  readonly readKeys: readonly string[]
  readonly adminKeys: readonly string[]
}

/** A caller with a valid key; `owner` is a digest that names the key in the queue. */
export interface Caller {
  readonly scope: 'call' | 'read' | 'admin'
  readonly owner: string
}

/** The caller when the gateway has no keys at all: may do everything, owns everything. */
const ANYBODY: Caller = { scope: 'admin', owner: '' }

/** Whether a text may be a key: what a header carries unchanged, up to 512 characters. */
export const isKey = (text: string): boolean => /^[\x21-\x7e]{1,512}$/.test(text)

const digestOf = (key: string): Buffer => createHash('sha256').update(key).digest()

/** Longest `Authorization` that is looked at, in characters. */
const MAX_KEY = 4096

/** Answers who calls, and whether that is enough. */
export interface Gate {
  /** True when no keys are configured. */
  readonly isOpen: boolean
  /** The caller of an `Authorization` header; null when it carries none of our keys. */
  caller(authorization: string | undefined): Caller | null
  /** What the key of this owner may do now; null when it is none of ours any more. */
  scopeOf(owner: string): Caller['scope'] | null
}

/** The gate for the keys as they are now: another object from `keys` is another set. */
export function createGate(keys: () => Keys): Gate {
  let current = keys()
  let gate = gateOf(current)
  const now = (): Gate => {
    const latest = keys()
    if (latest !== current) gate = gateOf((current = latest))
    return gate
  }
  return {
    get isOpen() {
      return now().isOpen
    },
    caller: (authorization) => now().caller(authorization),
    scopeOf: (owner) => now().scopeOf(owner),
  }
}

function gateOf(keys: Keys): Gate {
  const known: { digest: Buffer; caller: Caller }[] = []
  const add = (list: readonly string[], scope: Caller['scope']): void => {
    for (const key of list) {
      const digest = digestOf(key)
      known.push({ digest, caller: { scope, owner: digest.toString('hex').slice(0, 32) } })
    }
  }
  // A key listed twice gets its strongest scope.
  add(keys.adminKeys, 'admin')
  add(keys.readKeys, 'read')
  add(keys.keys, 'call')
  const isOpen = known.length === 0
  return {
    isOpen,
    caller(authorization) {
      if (isOpen) return ANYBODY
      if (authorization === undefined || authorization.length > MAX_KEY) return null
      const space = authorization.indexOf(' ')
      const scheme = authorization.slice(0, space).toLowerCase()
      if (scheme !== 'key' && scheme !== 'bearer') return null
      const digest = digestOf(authorization.slice(space + 1).trim())
      let found: Caller | null = null
      // All are compared, so that the time says nothing about which one is close.
      for (const entry of known)
        if (timingSafeEqual(entry.digest, digest) && found === null) found = entry.caller
      return found
    },
    scopeOf(owner) {
      if (isOpen) return ANYBODY.scope
      return known.find(({ caller }) => caller.owner === owner)?.caller.scope ?? null
    },
  }
}

/** Whether a caller's scope is enough. `own` is checked by its route: any key, for what was submitted with it, or is worth no more. */
export function allows(access: Access, scope: Caller['scope']): boolean {
  switch (access) {
    case 'open':
    case 'page':
    case 'call':
    case 'own':
      return true
    case 'read':
      return scope !== 'call'
    case 'admin':
    case 'runner':
      return scope === 'admin'
    default:
      return access satisfies never
  }
}

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i

/** Whether a `Host` header is a name of this machine for itself; a web page that rebinds a name to loopback is not. */
export function isLoopbackHost(host: string | undefined): boolean {
  return host !== undefined && loopback.test(host)
}

/** Whether a call comes from no web page, or from our own. */
export function isOwnOrigin(origin: string | undefined, host: string | undefined): boolean {
  return (
    origin === undefined ||
    (host !== undefined && (origin === `http://${host}` || origin === `https://${host}`))
  )
}

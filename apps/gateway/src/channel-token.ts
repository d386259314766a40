/**
 * Short-lived tokens for those who cannot send a header: a signed scope and a time, nothing to remember. They are good for this process
 * only, open the live endpoints and nothing else, and are worth no more than the key that asked for them.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Caller } from './auth.ts'
import { refuse } from './error-answer.ts'
import type { Gateway } from './gateway.ts'
import { objectBody, readsJson } from './json-body.ts'

/** Issues and reads tokens. */
export interface Tokens {
  issue(caller: Caller, scope: Caller['scope'], seconds: number): string
  /** Null for a text that is no token of ours or no longer good. */
  read(token: string): TokenCaller | null
}

/** A caller that came with a token. `forMs`: how long it is still good. */
export interface TokenCaller extends Caller {
  readonly forMs: number
}

const MAX_TOKEN = 512
const MAX_SECONDS = 3600
const DEFAULT_SECONDS = 60
const rank: Readonly<Record<Caller['scope'], number>> = { call: 0, read: 1, admin: 2 }

/** Tokens signed with a secret of this process. `now`: Unix ms. */
export function createTokens(now: () => number, secret: Buffer = randomBytes(32)): Tokens {
  const sign = (payload: string): Buffer => createHmac('sha256', secret).update(payload).digest()
  return {
    issue(caller, scope, seconds) {
      const expires = Math.ceil(now() + seconds * 1000)
      const payload = Buffer.from(JSON.stringify([scope, caller.owner, expires])).toString(
        'base64url',
      )
      return `${payload}.${sign(payload).toString('base64url')}`
    },
    read(token) {
      if (token.length > MAX_TOKEN) return null
      const dot = token.indexOf('.')
      const payload = token.slice(0, Math.max(0, dot))
      const given = Buffer.from(token.slice(dot + 1), 'base64url')
      const right = sign(payload)
      if (dot < 1 || given.length !== right.length || !timingSafeEqual(given, right)) return null
      // Signed by us: it has the shape that we gave it.
      const [scope, owner, expires] = JSON.parse(Buffer.from(payload, 'base64url').toString()) as [
        Caller['scope'],
        string,
        number,
      ]
      const forMs = expires - now()
      return forMs > 0 ? { scope, owner, forMs } : null
    },
  }
}

/** Adds `POST /v1/tokens`. */
export function tokenRoutes(app: FastifyInstance, { gate }: Gateway, tokens: Tokens): void {
  app.register(async (plugin) => {
    readsJson(plugin)
    plugin.post('/v1/tokens', { config: { access: 'own' } }, async (request, reply) => {
      const body = objectBody(request)
      const unknown = Object.keys(body).find((name) => name !== 'scope' && name !== 'seconds')
      if (unknown !== undefined)
        refuse(422, 'invalid_value', `${unknown} is not a field; allowed: scope, seconds.`, {
          path: unknown,
        })
      const { scope, seconds = DEFAULT_SECONDS } = body
      if (scope !== 'call' && scope !== 'read' && scope !== 'admin')
        return refuse(422, 'invalid_value', 'scope must be call, read or admin.', { path: 'scope' })
      if (typeof seconds !== 'number' || !(seconds > 0 && seconds <= MAX_SECONDS))
        return refuse(422, 'invalid_value', `seconds must be above 0, at most ${MAX_SECONDS}.`, {
          path: 'seconds',
        })
      const caller = request.caller ?? gate.caller(undefined)
      if (caller === null || rank[scope] > rank[caller.scope])
        return refuse(403, 'forbidden', `A token cannot do more than its key: no ${scope} token.`)
      reply.header('cache-control', 'no-store')
      return { token: tokens.issue(caller, scope, seconds) }
    })
  })
}

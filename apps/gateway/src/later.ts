/** What this version does not have, refused by name: never silently ignored, never half done. */
import type { FastifyInstance } from 'fastify'
import { refuse } from './error-answer.ts'

/** Refuses a thing by its name. */
export function later(what: string): never {
  return refuse(501, 'not_in_this_version', `${what} is not in this version of the gateway.`)
}

const paths: readonly (readonly [
  path: string,
  what: string,
  access: 'open' | 'call' | 'read' | 'admin',
])[] = [
  ['/rest/*', 'The token and storage service under /rest', 'call'],
  ['/.well-known/jwks.json', 'The signing key for webhooks', 'open'],
]

/** Adds a refusal for every surface that comes later. */
export function laterRoutes(app: FastifyInstance): void {
  for (const [url, what, access] of paths)
    app.all(url, { config: { access, later: true } }, async () => later(what))
}

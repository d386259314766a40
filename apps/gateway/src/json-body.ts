/**
 * Reads the small JSON bodies of `/v1`, and none where none is taken: empty is an empty object, anything malformed is refused by
 * status, wrong values by the path of the field.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { refuse } from './error-answer.ts'
import { isJson } from './submission.ts'

/** Replaces an app's body parsers: an empty body is no input even with a JSON content type, other types are 415. */
export function readsJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (request, text, done) => {
    if (text === '') return done(null, {})
    if (!isJson(request.headers['content-type']))
      return done(Object.assign(new Error('not JSON'), { code: 'HEALTH_BODY_NOT_JSON' }))
    try {
      done(null, JSON.parse(String(text)))
    } catch {
      done(Object.assign(new Error('malformed'), { code: 'HEALTH_BODY_MALFORMED' }))
    }
  })
}

/** Replaces an app's body parsers: none of its routes takes a body, so that no body, whatever it is, changes the answer. What comes is thrown away. */
export function readsNone(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
}

/** The body as an object; refuses other values with 422. */
export function objectBody(request: FastifyRequest): Readonly<Record<string, unknown>> {
  const body: unknown = request.body ?? {}
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return refuse(422, 'invalid_value', 'The body must be a JSON object.', { path: '' })
  return body as Record<string, unknown>
}

/** The body as an object with these true-or-false fields and no others. */
export function flags<Name extends string>(
  request: FastifyRequest,
  ...names: readonly Name[]
): Record<Name, boolean> {
  const body = onlyOf(request, names, 'boolean', 'true or false')
  return Object.fromEntries(names.map((name) => [name, body[name] === true])) as Record<
    Name,
    boolean
  >
}

/** The body as an object with these texts and no others. */
export function texts<Name extends string>(
  request: FastifyRequest,
  ...names: readonly Name[]
): Partial<Record<Name, string>> {
  return onlyOf(request, names, 'string', 'a text') as Partial<Record<Name, string>>
}

function onlyOf(
  request: FastifyRequest,
  names: readonly string[],
  type: string,
  allowed: string,
): Readonly<Record<string, unknown>> {
  const body = objectBody(request)
  const known = names.length === 0 ? 'it has none' : `allowed: ${names.join(', ')}`
  for (const [name, value] of Object.entries(body)) {
    const path = name.slice(0, 200)
    if (!names.includes(name))
      refuse(422, 'invalid_value', `${path} is not a field of this order; ${known}.`, { path })
    if (typeof value !== type) refuse(422, 'invalid_value', `${path} must be ${allowed}.`, { path })
  }
  return body
}

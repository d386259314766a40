/**
 * The inspector's page at `/inspect`: plain files of the package and the layout engine beside them, read when they are first asked for.
 * It decides nothing; what it shows comes over `/v1`.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'

const folder = fileURLToPath(new URL('../src/page/inspect/', import.meta.url))
const resolve = (name: string): string => createRequire(import.meta.url).resolve(name)

const scripts = [
  'inspect.js',
  'chart.js',
  'draw.js',
  'history.js',
  'layout.js',
  'machine-list.js',
  'tape.js',
  'viewer.js',
] as const

/** Every file: its path on the wire, where it lies, what it is. */
const files: readonly (readonly [path: string, file: () => string, type: string])[] = [
  ['/inspect', () => `${folder}index.html`, 'text/html; charset=utf-8'],
  ['/inspect/inspect.css', () => `${folder}inspect.css`, 'text/css; charset=utf-8'],
  ...scripts.map(
    (name) => [`/inspect/${name}`, () => folder + name, 'text/javascript; charset=utf-8'] as const,
  ),
  ['/inspect/elk-api.js', () => resolve('elkjs/lib/elk-api.js'), 'text/javascript; charset=utf-8'],
  [
    '/inspect/elk-worker.js',
    () => resolve('elkjs/lib/elk-worker.min.js'),
    'text/javascript; charset=utf-8',
  ],
]

/** Nothing from elsewhere is loaded, asked or framed. A page that opened this one may talk to it: it shows what it is told, and tells nothing. */
const guard = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'unsafe-none',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/** Serves the page to anybody who may look at the gateway at all. */
export function serveInspector(server: FastifyInstance): void {
  for (const [path, file, type] of files) {
    let known: { readonly body: Buffer; readonly etag: string } | null = null
    server.get(path, { config: { access: 'page' } }, (request, reply) => {
      if (known === null) {
        const body = readFileSync(file())
        const digest = createHash('sha256').update(body).digest('base64url')
        known = { body, etag: `"${digest.slice(0, 22)}"` }
      }
      reply.headers({
        ...guard,
        'content-type': type,
        'cache-control': 'no-cache',
        etag: known.etag,
      })
      if (request.headers['if-none-match'] === known.etag) return reply.code(304).send()
      return reply.send(known.body)
    })
  }
}

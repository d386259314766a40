/**
 * The page at `/`: plain files from the package, read once, with headers that keep every other site out. It needs no build and no key;
 * what it shows it asks from `/v1` like anybody else.
 */
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { serveInspector } from './inspect-page.ts'

/** A file of the page, ready to be sent. */
export interface PageFile {
  readonly body: Buffer
  readonly headers: Readonly<Record<string, string>>
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Nothing from elsewhere is loaded, asked or framed. */
const guard = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/** The page's files by path; `/` is its index. From source and from the package alike they lie in `src/page`. */
export function readPage(): ReadonlyMap<string, PageFile> {
  const folder = fileURLToPath(new URL('../src/page/', import.meta.url))
  const files = new Map<string, PageFile>()
  for (const name of readdirSync(folder)) {
    const type = types[extname(name)]
    if (type === undefined) continue
    const body = readFileSync(folder + name)
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
    const file = {
      body,
      headers: { ...guard, 'content-type': type, 'cache-control': 'no-cache', etag },
    }
    files.set(`/${name}`, file)
    if (name === 'index.html') files.set('/', file)
  }
  return files
}

/** Serves the page at `/` and its files beside it, to anybody who may look at the gateway at all. */
export function serveConsole(server: FastifyInstance): void {
  serveInspector(server)
  for (const [path, file] of readPage()) {
    server.get(path, { config: { access: 'page' } }, (request, reply) => {
      reply.headers(file.headers)
      if (request.headers['if-none-match'] === file.headers['etag']) return reply.code(304).send()
      return reply.send(file.body)
    })
  }
}

// Makes one start of the gateway quick: its own sources and what they always load, as a handful of files instead of 450.
// It belongs to this checkout and to nobody else: every file believes to lie where its source lies. It is never published and
// decides nothing; whoever calls it knows what it was made from.
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'

const root = fileURLToPath(new URL('..', import.meta.url))
/** Loaded by few or by nobody: it stays where it is. */
const apart = /^(yaml|pino|light-my-request|@fastify\/(ajv-compiler|fast-json-stringify-compiler))$/

/**
 * The same strings, spelt so that V8 keeps the text with a byte for each character: one arrow among a million letters makes it
 * two. Comments are gone by now, so such characters stand in strings, templates and patterns only; a raw template would show the
 * spelling itself.
 */
const spelt = (code) =>
  code.includes('String.raw')
    ? code
    : code.replace(/[^\0-\x7f]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** A source map in which every line is the line of the same number. */
const lineByLine = (code) => `AAAA${';AACA'.repeat(code.split('\n').length - 1)}`

const [out = ''] = process.argv.slice(2)
const made = `${out}.${process.pid}`
try {
  const build = await rolldown({
    input: { main: join(root, 'apps', 'gateway', 'src', 'main.ts') },
    platform: 'node',
    // What cannot be done is thrown; what is odd in somebody's package is nobody's business at a start.
    logLevel: 'silent',
    resolve: { conditionNames: ['@health/source', 'node', 'import', 'default'] },
    plugins: [
      {
        name: 'as where the sources lie',
        async resolveId(name, importer, { kind }) {
          if (!apart.test(name)) return null
          const found = await this.resolve(name, importer, { kind, skipSelf: true })
          if (found === null) return null
          const id = kind === 'require-call' ? found.id : pathToFileURL(found.id).href
          return { id, external: true }
        },
        transform(code, id) {
          if (!code.includes('import.meta.url')) return null
          const here = JSON.stringify(pathToFileURL(id).href)
          const placed = code.replaceAll('import.meta.url', here)
          return { code: placed, map: { mappings: lineByLine(placed) } }
        },
      },
    ],
  })
  const { output } = await build.write({
    dir: made,
    entryFileNames: '[name].mjs',
    chunkFileNames: '[name]-[hash].mjs',
    // For who asks for them (--enable-source-maps): Node reads all of them at the start, for 16 MB.
    sourcemap: true,
    // Node holds the text of what it runs.
    comments: false,
  })
  for (const { type, fileName, code } of output)
    if (type === 'chunk') writeFileSync(join(made, fileName), spelt(code))
  // At once and whole, or not at all; another start may have been quicker.
  renameSync(made, out)
} finally {
  rmSync(made, { recursive: true, force: true })
}

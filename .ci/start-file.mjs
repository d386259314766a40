// Which file `npm start` runs: a bundle of the gateway's sources as they are at this moment, else the sources. It makes the bundle
// when it is missing, and keeps no other state than the bundles themselves.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const main = join(root, 'apps', 'gateway', 'src', 'main.ts')

/** Everything that a bundle of the gateway is made from; a byte more or less makes another one. */
function sources() {
  const folders = [
    join(root, 'apps', 'gateway'),
    ...readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name)),
  ].filter((folder) => existsSync(join(folder, 'package.json')))
  return [
    join(root, 'pnpm-lock.yaml'),
    join(root, '.ci', 'bundle.mjs'),
    ...folders.flatMap((folder) => [
      join(folder, 'package.json'),
      ...readdirSync(join(folder, 'src'), { recursive: true })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => join(folder, 'src', name)),
    ]),
  ].toSorted((a, b) => (a < b ? -1 : 1))
}

/** A name for the sources as they are, in this place. */
function nameOfSources() {
  const hash = createHash('sha256').update(root)
  for (const file of sources()) hash.update(`\0${file}\0`).update(readFileSync(file))
  return hash.digest('hex').slice(0, 24)
}

/** Bundles of earlier sources that are kept: a gateway that still runs may load from its own. */
const KEPT_BUNDLES = 8

/**
 * The file to run with this Node: the gateway in a few files, which start in two thirds of the time; made when the sources are
 * new. They are named by what they were made from, so that none is ever stale. Where none can be made the sources run themselves.
 */
export function startFile(node) {
  const folder = join(root, 'node_modules', '.cache', 'health', 'start')
  try {
    const name = nameOfSources()
    const made = join(folder, name)
    const entry = join(made, 'main.mjs')
    if (existsSync(entry)) return entry
    mkdirSync(folder, { recursive: true })
    const age = (one) => statSync(join(folder, one)).mtimeMs
    const old = readdirSync(folder).toSorted((a, b) => age(b) - age(a))
    for (const one of old.slice(KEPT_BUNDLES))
      rmSync(join(folder, one), { recursive: true, force: true })
    const result = spawnSync(node, [join(root, '.ci', 'bundle.mjs'), made], {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
      timeout: 30_000,
    })
    if (nameOfSources() !== name) {
      // Somebody wrote while they were read: what was made has the wrong name.
      rmSync(made, { recursive: true, force: true })
      return main
    }
    // Another start may have been quicker.
    if (existsSync(entry)) return entry
    throw result.error ?? new Error(result.stderr.trim().split('\n').at(-1))
  } catch (error) {
    process.stderr.write(`The gateway starts from its sources, a little slower: ${error.message}\n`)
    return main
  }
}

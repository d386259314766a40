/**
 * Finds and reads a configuration file: TypeScript, JavaScript, JSON or YAML. Each way of being unreadable is one clear line; what the
 * file says is judged elsewhere.
 */
import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { HealthError } from '@health/core'

/** Names that are looked for without `--config`. */
export const configNames = [
  'health.config.ts',
  'health.config.js',
  'health.config.json',
  'health.config.yaml',
] as const

const MAX_BYTES = 1_048_576

/** The configuration file of a folder, absolute; null when there is none. Two are an error: which one counts would be a guess. */
export function findConfigFile(folder: string): string | null {
  const found = configNames.filter((name) => existsSync(join(folder, name)))
  if (found.length > 1) {
    throw new HealthError(
      'HEALTH_CONFIG_FILE',
      `${found.join(' and ')} are both in ${folder}. Keep one, or name one with --config.`,
    )
  }
  return found[0] === undefined ? null : join(folder, found[0])
}

/** First line of a parser's message: the rest is an excerpt, which may hold a secret. */
const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error))
    .split('\n', 1)[0]!
    .replace(/[:.]\s*$/, '')

/** Reads and parses a file. Throws HEALTH_CONFIG_FILE when it cannot be read or is not what its name says. */
export async function readConfigFile(file: string): Promise<unknown> {
  const refuse = (what: string): never => {
    throw new HealthError('HEALTH_CONFIG_FILE', `${file} ${what}`)
  }
  const kind = extname(file)
  const found = await stat(file).catch(({ code }: NodeJS.ErrnoException) =>
    refuse(
      code === 'ENOENT' || code === 'ENOTDIR'
        ? 'does not exist. Check the path.'
        : `cannot be read (${code}).`,
    ),
  )
  if (found.isDirectory()) return refuse('is a folder. Name the file in it.')
  if (!found.isFile()) return refuse('is not a file.')
  if (found.size > MAX_BYTES) return refuse(`has ${found.size} bytes; ${MAX_BYTES} are allowed.`)
  if (/^\.[cm]?[jt]s$/.test(kind)) return importFile(file, refuse)
  if (kind !== '.json' && kind !== '.yaml' && kind !== '.yml')
    return refuse(`ends in "${kind}"; allowed are .ts, .js, .json and .yaml.`)
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) =>
    refuse(`cannot be read (${error.code}).`),
  )
  if (kind === '.json') {
    try {
      // Some editors put a mark before the text, which JSON does not know.
      return JSON.parse(text.replace(/^\uFEFF/, ''))
    } catch (error) {
      return refuse(`is not JSON: ${jsonPlace(error, text)}.`)
    }
  }
  const { parse } = await import('yaml')
  try {
    // An empty file is an empty configuration; duplicate keys are refused by the parser.
    return parse(text) ?? {}
  } catch (error) {
    return refuse(`is not YAML: ${firstLine(error)}.`)
  }
}

/** Where a JSON error is, as far as the parser says; its own message quotes the file. */
function jsonPlace(error: unknown, text: string): string {
  const message = error instanceof Error ? error.message : ''
  const position = /position (\d+)/.exec(message)?.[1]
  if (position === undefined)
    return (/^Unexpected token '.'/.exec(message)?.[0] ?? 'it ends too early').toLowerCase()
  const before = text.slice(0, Number(position)).split('\n')
  return `unexpected text at line ${before.length}, column ${before.at(-1)!.length + 1}`
}

let imported = 0

async function importFile(file: string, refuse: (what: string) => never): Promise<unknown> {
  try {
    // A query makes a reload see the file as it is now; Node keeps each version until it ends.
    const loaded = (await import(`${pathToFileURL(file).href}?read=${++imported}`)) as {
      default?: unknown
    }
    const value =
      typeof loaded.default === 'function'
        ? await (loaded.default as () => unknown)()
        : loaded.default
    return (
      value ??
      refuse(
        'has no default export. Export the configuration, or a function that returns it, as default.',
      )
    )
  } catch (error) {
    if (error instanceof HealthError) throw error
    return refuse(`cannot be run: ${firstLine(error)}.`)
  }
}

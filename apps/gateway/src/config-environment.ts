/**
 * Replaces `env:NAME` in a configuration by the variable's value. A variable that is not set (or empty) makes the entry absent, with a
 * warning; values never appear in warnings or errors, they may be secrets.
 */
import { HealthError } from '@health/core'

/** A configuration whose `env:` entries are replaced. */
export interface EnvironmentTree {
  readonly value: unknown
  /** Paths whose value came from the environment: a text there may stand for a number. */
  readonly fromEnvironment: ReadonlySet<string>
  /** A mistake without the values of variables: each by its name. Anything else comes back as it is. */
  hide(mistake: unknown): unknown
}

const MAX_DEPTH = 20
const reference = /^env:([A-Za-z_][A-Za-z0-9_]*)$/
const absent = Symbol('absent')

/** Walks plain objects, lists and texts; anything else stays as it is. */
export function withEnvironment(
  raw: unknown,
  env: Readonly<Record<string, string | undefined>>,
  warnings: string[],
): EnvironmentTree {
  const fromEnvironment = new Set<string>()
  const names = new Map<string, string>()
  const walk = (value: unknown, path: string, depth: number): unknown => {
    if (depth > MAX_DEPTH) {
      throw new HealthError(
        'HEALTH_POLICY_INVALID',
        `${path} is nested too deeply; ${MAX_DEPTH} levels are allowed.`,
        path,
      )
    }
    if (typeof value === 'string') {
      const name = reference.exec(value)?.[1]
      if (name === undefined) return value
      const found = env[name]
      if (found === undefined || found === '') {
        warnings.push(`${path}: the variable ${name} is not set; the entry is absent.`)
        return absent
      }
      fromEnvironment.add(path)
      names.set(found, name)
      return found
    }
    if (Array.isArray(value)) {
      const kept: unknown[] = []
      for (const item of value) {
        // The path counts what is kept, so that later messages name the entry that is meant.
        const walked = walk(item, `${path}[${kept.length}]`, depth + 1)
        if (walked !== absent) kept.push(walked)
      }
      return kept
    }
    if (typeof value !== 'object' || value === null) return value
    const kept: Record<string, unknown> = {}
    for (const [key, item] of Object.entries(value)) {
      const walked = walk(item, path === '' ? key : `${path}.${key}`, depth + 1)
      if (walked !== absent)
        Object.defineProperty(kept, key, {
          value: walked,
          enumerable: true,
          writable: true,
          configurable: true,
        })
    }
    return kept
  }
  const value = walk(raw, '', 0)
  return {
    value: value === absent ? {} : value,
    fromEnvironment,
    hide: (mistake) => hidden(mistake, names),
  }
}

/** A text that was cut in the middle of a value, with a name in its place. */
function withoutRest(text: string, quoted: string, instead: string): string {
  const cut = text.lastIndexOf('…')
  for (let length = Math.min(quoted.length, cut); length > 1; length--) {
    const from = cut - length
    if (text.startsWith(quoted.slice(0, length), from))
      return text.slice(0, from) + instead + text.slice(cut + 1)
  }
  return text
}

/** Messages quote a value as JSON, long ones cut; what is allowed comes after it and stays. */
function hidden(mistake: unknown, names: ReadonlyMap<string, string>): unknown {
  if (!(mistake instanceof HealthError)) return mistake
  const end = mistake.message.indexOf('; allowed is')
  let said = end === -1 ? mistake.message : mistake.message.slice(0, end)
  for (const [value, name] of names) {
    const quoted = JSON.stringify(value)
    const instead = `env:${name} (its value is not shown)`
    said = withoutRest(
      said.replaceAll(quoted, () => instead),
      quoted,
      instead,
    )
  }
  const rest = end === -1 ? '' : mistake.message.slice(end)
  return new HealthError(mistake.code, said + rest, mistake.path)
}

/**
 * How one option is described, checked and named in messages: kind, range, default, reason. It refuses impossible values by path and
 * unknown names with the nearest known one; which options there are is said in the tables.
 */
import { HealthError } from './error.ts'
import { quote } from './quote.ts'

/** How one option is checked and translated. */
export type OptionSpec =
  | {
      readonly kind: 'seconds' | 'integer' | 'number' | 'percent'
      readonly default: number | null
      readonly min: number
      readonly max?: number
      /** True: the minimum itself is not allowed. */
      readonly above?: true
      /** True: null is a value (off). */
      readonly nullable?: true
      readonly reason: string
    }
  | { readonly kind: 'boolean'; readonly default: boolean | null; readonly reason: string }
  | {
      readonly kind: 'word'
      readonly default: string
      readonly words: readonly string[]
      readonly reason: string
    }
  | {
      readonly kind: 'list'
      readonly default: readonly string[]
      readonly words?: readonly string[]
      readonly reason: string
    }
  | { readonly kind: 'path' | 'object'; readonly default: null; readonly reason: string }

export const refuse = (path: string, value: unknown, allowed: string): never => {
  throw new HealthError(
    'HEALTH_POLICY_INVALID',
    `${path} is ${quote(value)}; allowed is ${allowed}.`,
    path,
  )
}

/** What an option allows, in words, for messages and the reference page. */
export function allowed(spec: OptionSpec): string {
  switch (spec.kind) {
    case 'boolean':
      return 'true or false'
    case 'word':
      return spec.words.map((word) => `"${word}"`).join(' or ')
    case 'list':
      return spec.words
        ? `a list of ${spec.words.map((word) => `"${word}"`).join(', ')}`
        : 'a list of names'
    case 'path':
      return 'a path that starts with "/"'
    case 'object':
      return 'an object'
    case 'seconds':
    case 'integer':
    case 'number':
    case 'percent': {
      const what = spec.kind === 'integer' ? 'a whole number' : 'a number'
      return `${what} ${spec.above ? '>' : '≥'} ${spec.min}${spec.max === undefined ? '' : ` and ≤ ${spec.max}`}${spec.nullable ? ', or null' : ''}`
    }
    default:
      return spec satisfies never
  }
}

/** Most names in a list of any names. */
const MAX_LIST = 1000

/** Throws HEALTH_POLICY_INVALID with the path, the value and what is allowed. */
export function checkOption(path: string, spec: OptionSpec, value: unknown): void {
  const no = (): never => refuse(path, value, allowed(spec))
  switch (spec.kind) {
    case 'boolean':
      if (typeof value !== 'boolean') no()
      return
    case 'word':
      if (typeof value !== 'string' || !spec.words.includes(value)) no()
      return
    case 'list':
      if (
        !Array.isArray(value) ||
        value.length > (spec.words?.length ?? MAX_LIST) ||
        value.some((item) => typeof item !== 'string' || (spec.words && !spec.words.includes(item)))
      )
        no()
      return
    case 'path':
      if (typeof value !== 'string' || !/^\/[^\s#]*$/.test(value)) no()
      return
    case 'object':
      if (typeof value !== 'object' || value === null || Array.isArray(value)) no()
      return
    case 'seconds':
    case 'integer':
    case 'number':
    case 'percent':
      if (value === null && spec.nullable) return
      if (typeof value !== 'number' || !Number.isFinite(value) || value > 1e9) return no()
      if (spec.kind === 'integer' && !Number.isInteger(value)) no()
      if (
        value < spec.min ||
        (spec.above && value === spec.min) ||
        (spec.max !== undefined && value > spec.max)
      )
        no()
      return
    default:
      spec satisfies never
  }
}

/** As far as a wrong name is looked at, in characters: what is longer resembles none, and its distance costs as much as it is long. */
const MAX_NAME = 64

/** The name in `names` that is nearest to a wrong one, for messages. */
export function nearest(name: string, names: readonly string[]): string {
  const distance = (a: string, b: string): number => {
    let row = Array.from({ length: b.length + 1 }, (_, i) => i)
    for (let i = 1; i <= a.length; i++) {
      const next = [i]
      for (let j = 1; j <= b.length; j++)
        next[j] = Math.min(
          row[j]! + 1,
          next[j - 1]! + 1,
          row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
        )
      row = next
    }
    return row[b.length]!
  }
  const wrong = name.slice(0, MAX_NAME).toLowerCase()
  const by = (candidate: string): number => distance(wrong, candidate.toLowerCase())
  return names.reduce(
    (best, candidate) => (by(candidate) < by(best) ? candidate : best),
    names[0] ?? '',
  )
}

/** Checks every key of an object against a table; an unknown key is an error that names the nearest known one. */
export function checkOptions(
  path: string,
  specs: Readonly<Record<string, OptionSpec>>,
  values: Readonly<Record<string, unknown>>,
): void {
  for (const [name, value] of Object.entries(values)) {
    const at = path === '' ? name : `${path}.${name}`
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined
    if (spec === undefined)
      throw new HealthError(
        'HEALTH_POLICY_UNKNOWN',
        `${at} is not an option; the nearest is ${nearest(name, Object.keys(specs))}.`,
        at,
      )
    if (value !== undefined) checkOption(at, spec, value)
  }
}

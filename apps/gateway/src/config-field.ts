/**
 * How a value of the configuration is checked, and how a mistake in it is said: the path, the value (never a secret) and what is
 * allowed, in one line. It knows no option by name.
 */
import { HealthError, checkOption, nearest, quote, type OptionSpec } from '@health/core'
import { isKey } from './auth.ts'

/** How one field is checked: as the core's options are, or a text or a list of texts. */
export type FieldSpec =
  | OptionSpec
  /** A default of null: nothing, unless it is said. */
  | { readonly kind: 'text'; readonly default: string | null; readonly reason: string }
  | { readonly kind: 'command'; readonly default: null; readonly reason: string }
  | {
      readonly kind: 'secrets' | 'texts'
      readonly default: readonly string[]
      readonly reason: string
    }

/** Throws HEALTH_POLICY_INVALID: the path, the value (shortened; never call it with a secret) and what is allowed. */
export function invalid(path: string, value: unknown, allowedText: string): never {
  const short =
    value === undefined
      ? 'missing'
      : typeof value === 'function' || typeof value === 'symbol'
        ? typeof value
        : quote(value)
  throw new HealthError(
    'HEALTH_POLICY_INVALID',
    `${path} is ${short}; allowed is ${allowedText}.`,
    path,
  )
}

/** A plain object at `path`, or an error that says so. */
export function objectAt(path: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return invalid(path === '' ? 'the configuration' : path, value, 'an object of names and values')
  return value as Record<string, unknown>
}

/** Throws HEALTH_POLICY_UNKNOWN for a name that is not known, naming the nearest one. */
export function knownName(path: string, name: string, names: readonly string[]): void {
  if (names.includes(name)) return
  const at = path === '' ? name : `${path}.${name}`
  throw new HealthError(
    'HEALTH_POLICY_UNKNOWN',
    `${at} is not an option; the nearest is ${nearest(name, names)}.`,
    at,
  )
}

/** A text from the environment that stands for a number or a truth value becomes one where the field wants one. */
export function fromText(spec: FieldSpec, value: unknown): unknown {
  if (typeof value !== 'string') return value
  if (spec.kind === 'boolean') return value === 'true' ? true : value === 'false' ? false : value
  if (
    spec.kind === 'seconds' ||
    spec.kind === 'integer' ||
    spec.kind === 'number' ||
    spec.kind === 'percent'
  ) {
    return /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value
  }
  return value
}

/** Converts what came from the environment, in an object whose fields `specs` knows. */
export function convertFields(
  path: string,
  specs: Readonly<Record<string, FieldSpec>>,
  values: Readonly<Record<string, unknown>>,
  fromEnvironment: ReadonlySet<string>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      const spec = Object.hasOwn(specs, name) ? specs[name] : undefined
      return [
        name,
        spec !== undefined && fromEnvironment.has(`${path}.${name}`)
          ? fromText(spec, value)
          : value,
      ]
    }),
  )
}

/** Throws HealthError when a value is not what its field allows. */
export function checkField(path: string, spec: FieldSpec, value: unknown): void {
  if (value === null && spec.default === null) return
  switch (spec.kind) {
    case 'command':
      // An argument may be a secret, so it is not shown.
      if (!isCommand(value))
        throw new HealthError(
          'HEALTH_POLICY_INVALID',
          `${path} is not a command (not shown); allowed is a list of texts: the program, then its arguments; there is no shell.`,
          path,
        )
      return
    case 'text':
      if (typeof value !== 'string' || value === '') invalid(path, value, 'a text')
      return
    case 'texts':
      if (!Array.isArray(value) || value.some((item) => typeof item !== 'string' || item === ''))
        invalid(path, value, 'a list of texts')
      return
    case 'secrets':
      // Never shown: a mistyped key is still nearly a key.
      if (!Array.isArray(value))
        throw new HealthError(
          'HEALTH_POLICY_INVALID',
          `${path} is not a list; allowed is a list of keys, or of env:NAME.`,
          path,
        )
      for (const [index, item] of value.entries()) {
        if (typeof item === 'string' && isKey(item)) continue
        const at = `${path}[${index}]`
        throw new HealthError(
          'HEALTH_POLICY_INVALID',
          `${at} is not a key (its value is not shown); allowed are 1 to 512 visible ASCII characters, quoted.`,
          at,
        )
      }
      return
    default:
      checkOption(path, spec, value)
  }
}

/** A program and its arguments. */
function isCommand(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0 || value[0] === '') return false
  return value.every((part) => typeof part === 'string' && !part.includes('\0'))
}

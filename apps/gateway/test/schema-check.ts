/** A small JSON Schema checker for the keywords that our description uses; an unknown keyword is an error, so that none is overlooked. */

type Json = unknown
export interface Schema {
  readonly [keyword: string]: unknown
}

const notes: ReadonlySet<string> = new Set(['description', 'default', 'format', 'discriminator'])

const typeOf = (value: Json): string =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'array'
      : Number.isInteger(value)
        ? 'integer'
        : typeof value

const isObject = (value: Json): value is Readonly<Record<string, Json>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What is wrong with a value, with its path; empty when nothing is. */
export function violations(
  schema: Schema,
  value: Json,
  named: Readonly<Record<string, Schema>>,
  path = '',
): readonly string[] {
  const at = path === '' ? 'value' : path
  const wrong: string[] = []
  const inner = (sub: unknown, part: Json, where: string): readonly string[] =>
    violations(sub as Schema, part, named, where)
  for (const [keyword, given] of Object.entries(schema)) {
    if (notes.has(keyword)) continue
    switch (keyword) {
      case '$ref': {
        const name = String(given).replace('#/components/schemas/', '')
        const found = named[name]
        if (found === undefined) throw new Error(`${String(given)} leads nowhere`)
        wrong.push(...inner(found, value, path))
        break
      }
      case 'type': {
        const type = typeOf(value)
        if (type !== given && !(given === 'number' && type === 'integer'))
          wrong.push(`${at} is ${type}, not ${String(given)}`)
        break
      }
      case 'const':
        if (value !== given) wrong.push(`${at} is not ${JSON.stringify(given)}`)
        break
      case 'enum':
        if (!(given as Json[]).includes(value))
          wrong.push(`${at} ${JSON.stringify(value)} is none of ${JSON.stringify(given)}`)
        break
      case 'minimum':
        if (typeof value === 'number' && value < (given as number))
          wrong.push(`${at} < ${String(given)}`)
        break
      case 'exclusiveMinimum':
        if (typeof value === 'number' && value <= (given as number))
          wrong.push(`${at} <= ${String(given)}`)
        break
      case 'maximum':
        if (typeof value === 'number' && value > (given as number))
          wrong.push(`${at} > ${String(given)}`)
        break
      case 'minLength':
        if (typeof value === 'string' && value.length < (given as number))
          wrong.push(`${at} is short`)
        break
      case 'maxLength':
        if (typeof value === 'string' && value.length > (given as number))
          wrong.push(`${at} is long`)
        break
      case 'pattern':
        if (typeof value === 'string' && !new RegExp(given as string, 'u').test(value))
          wrong.push(`${at} ${value} does not match ${String(given)}`)
        break
      case 'maxItems':
        if (Array.isArray(value) && value.length > (given as number)) wrong.push(`${at} is long`)
        break
      case 'items':
        if (Array.isArray(value))
          value.forEach((item, i) => wrong.push(...inner(given, item, `${path}[${i}]`)))
        break
      case 'required':
        if (isObject(value))
          for (const name of given as string[])
            if (!Object.hasOwn(value, name)) wrong.push(`${at}.${name} is absent`)
        break
      case 'properties':
        if (isObject(value))
          for (const [name, sub] of Object.entries(given as object))
            if (Object.hasOwn(value, name))
              wrong.push(...inner(sub, value[name], `${path}.${name}`))
        break
      case 'additionalProperties':
        if (isObject(value)) {
          const known = (schema['properties'] ?? {}) as object
          for (const [name, part] of Object.entries(value)) {
            if (Object.hasOwn(known, name)) continue
            if (given === false) wrong.push(`${at}.${name} is not known`)
            else if (given !== true) wrong.push(...inner(given, part, `${path}.${name}`))
          }
        }
        break
      case 'anyOf':
      case 'oneOf': {
        const fits = (given as Schema[]).filter((each) => inner(each, value, path).length === 0)
        if (fits.length === 0 || (keyword === 'oneOf' && fits.length > 1))
          wrong.push(`${at} fits ${fits.length} of ${keyword}`)
        break
      }
      default:
        throw new Error(`${keyword} is a keyword that this checker does not know`)
    }
  }
  return wrong
}

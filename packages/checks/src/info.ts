/**
 * Reads the info block of a service: values that somebody named one by one. The environment as a whole is refused, since it
 * is where secrets live.
 */
import { invalid } from './option.ts'

export type InfoValue = string | number | boolean

/** Named values, or functions that give them when asked. */
export type Info = Readonly<Record<string, InfoValue | (() => InfoValue)>>

const mostValues = 64
const longestText = 256

/** The values now. Throws HEALTH_POLICY_INVALID for a value that is neither text, number nor flag. */
export function readInfo(info: Info | undefined): Record<string, InfoValue> | null {
  if (info === undefined) return null
  const entries = Object.entries(info)
  if (info === process.env || entries.length > mostValues)
    throw invalid('info', `takes at most ${mostValues} named values, and never the environment`)
  return Object.fromEntries(entries.map(([name, given]) => [name, read(name, given)]))
}

function read(name: string, given: InfoValue | (() => InfoValue)): InfoValue {
  if (typeof given === 'function') {
    try {
      return read(name, given())
    } catch {
      return 'unavailable'
    }
  }
  if (typeof given === 'string') return given.slice(0, longestText)
  if (typeof given === 'number' || typeof given === 'boolean') return given
  throw invalid(`info.${name}`, 'must be a string, a number or a boolean')
}

/** Labels of metrics: their values escaped, their counts raised. */

/** Escapes a label's value. */
export function label(value: string): string {
  return value.replace(/[\\"\n]/g, (found) => (found === '\n' ? '\\n' : `\\${found}`))
}

/** Raises the count of a key by one. */
export const bump = <K>(map: Map<K, number>, key: K): void =>
  void map.set(key, (map.get(key) ?? 0) + 1)

/** The gateway's version, from its own package. */
import { readFileSync } from 'node:fs'

/** As in `package.json`. */
export function version(): string {
  const read: unknown = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  )
  return (read as { version: string }).version
}

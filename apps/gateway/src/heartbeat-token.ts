/**
 * What lets a runner report its own heartbeat and nothing else: a token for its id, made from a secret of the data directory, so that it
 * holds across restarts and for adopted runners. It keeps no list and never logs a token.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HealthError } from '@health/core'

/** Tokens by runner. */
export interface HeartbeatTokens {
  of(runner: string): string
  /** Compares in constant time. */
  fits(runner: string, token: unknown): boolean
}

const SECRET_BYTES = 32

/** Tokens from a secret. */
export function heartbeatTokens(secret: Uint8Array): HeartbeatTokens {
  const of = (runner: string): string =>
    createHmac('sha256', secret).update(`heartbeat ${runner}`).digest('base64url')
  return {
    of,
    fits(runner, token) {
      if (typeof token !== 'string') return false
      const expected = Buffer.from(of(runner))
      const given = Buffer.from(token)
      return given.length === expected.length && timingSafeEqual(given, expected)
    },
  }
}

/** Tokens of a data directory, which is there; its secret is made when it is not. Rejects with HEALTH_DATA_DENIED when it cannot be. */
export async function openHeartbeatTokens(dataDir: string): Promise<HeartbeatTokens> {
  const file = join(dataDir, 'heartbeat.key')
  const found = await readFile(file).catch(() => null)
  if (found?.length === SECRET_BYTES) return heartbeatTokens(found)
  const secret = randomBytes(SECRET_BYTES)
  try {
    await writeFile(file, secret, { mode: 0o600 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new HealthError(
      'HEALTH_DATA_DENIED',
      `${dataDir} cannot be written (${code}). Check dataDir and its owner.`,
    )
  }
  return heartbeatTokens(secret)
}

/** Where a runner on this machine sends its heartbeats. */
export function heartbeatUrl(host: string, port: number, runner: string, token: string): string {
  // A wildcard is for listening; from this machine the gateway is on loopback.
  const name =
    host === '0.0.0.0'
      ? '127.0.0.1'
      : host === '::'
        ? '[::1]'
        : host.includes(':')
          ? `[${host}]`
          : host
  return `http://${name}:${port}/v1/runners/${encodeURIComponent(runner)}/heartbeat?token=${token}`
}

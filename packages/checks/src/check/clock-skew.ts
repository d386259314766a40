/**
 * Clock skew: compares this machine's clock with an SNTP server, or with a reference of your own. Half of the round trip is
 * taken off; what remains is the difference.
 */
import { createSocket } from 'node:dgram'
import { CheckFailure } from '../failure.ts'
import { complete, number, split } from '../measure.ts'
import { invalid, type CheckAnswer, type CheckOptions, type CheckSettings } from '../option.ts'

export interface ClockSkewOptions {
  /** SNTP server. */
  readonly host?: string
  /** Default 123. */
  readonly port?: number
  /** Instead of a server: the right time, ms since 1970. */
  readonly reference?: () => number | Promise<number>
  /** Difference above which it is unhealthy. Default 5. */
  readonly maxSeconds?: number
  /** Difference above which it is degraded. Default 1. */
  readonly warnSeconds?: number
}

/** Seconds from 1900, where NTP counts from, to 1970. */
const epoch = 2_208_988_800

const known = {
  host: true,
  port: true,
  reference: true,
  maxSeconds: true,
  warnSeconds: true,
} as const satisfies Record<keyof ClockSkewOptions, true>

/** A check of this machine's clock. */
export function clockSkew(options: ClockSkewOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<ClockSkewOptions>('clockSkew', options, known)
  const { host, port = 123, maxSeconds = 5, warnSeconds = 1 } = own
  if (own.reference === undefined && host === undefined)
    throw invalid('clockSkew', 'needs `host` or `reference`')
  number(port, 'clockSkew.port', 1, 65_535)
  number(maxSeconds, 'clockSkew.maxSeconds')
  number(warnSeconds, 'clockSkew.warnSeconds')
  return complete(settings, async ({ signal }): Promise<CheckAnswer> => {
    const sent = Date.now()
    const right = await (own.reference?.() ?? askServer(host as string, port, signal))
    const received = Date.now()
    const value = Math.abs(right - (sent + received) / 2) / 1000
    const observed = { value: Math.round(value * 1000) / 1000, unit: 's' } as const
    if (!(value <= maxSeconds)) return { status: 'unhealthy', error: 'skewed', observed }
    if (value > warnSeconds) return { status: 'degraded', error: 'skewed', observed }
    return { status: 'healthy', observed }
  })
}

async function askServer(host: string, port: number, signal: AbortSignal): Promise<number> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const onAbort = () => reject(new CheckFailure('timeout'))
  signal.addEventListener('abort', onAbort, { once: true })
  socket.once('error', reject)
  socket.once('message', resolve)
  const question = Buffer.alloc(48)
  question[0] = 0x23 // version 4, client
  try {
    signal.throwIfAborted()
    // Connected, so that only this server's answers are heard.
    socket.connect(port, host, () => socket.send(question))
    const answer = await promise
    const isServer = answer.length >= 48 && ((answer[0] ?? 0) & 7) === 4 && answer[1] !== 0
    if (!isServer) throw new CheckFailure('unexpected_answer')
    const seconds = answer.readUInt32BE(40) - epoch
    return seconds * 1000 + (answer.readUInt32BE(44) / 2 ** 32) * 1000
  } finally {
    signal.removeEventListener('abort', onAbort)
    socket.close()
  }
}

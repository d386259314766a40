/**
 * NATS: measures a round trip on the service's own connection, or says hello on one of its own that is gone afterwards. That
 * hello is spoken here, because the client leaves its socket open when a server never answers.
 */
import { connect, type Socket } from 'node:net'
import { CheckFailure } from '../failure.ts'
import { complete, socketEvent, split } from '../measure.ts'
import { invalid, type CheckOptions, type CheckSettings } from '../option.ts'

/** A connection of `nats` or `@nats-io/transport-node`, or anything else with these two. */
export interface NatsConnection {
  rtt(): Promise<number>
  isClosed(): boolean
}

export interface NatsOptions {
  readonly connection?: NatsConnection
  /** Used when there is no connection: `nats://host:4222` or `tls://host:4222`. For NKEYs and JWTs give the connection. */
  readonly url?: string
  readonly user?: string
  readonly pass?: string
  readonly token?: string
}

const known = {
  connection: true,
  url: true,
  user: true,
  pass: true,
  token: true,
} as const satisfies Record<keyof NatsOptions, true>

/** A check of a NATS server. */
export function nats(options: NatsOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<NatsOptions>('nats', options, known)
  const { connection } = own
  if (connection !== undefined)
    return complete(settings, async () => {
      if (connection.isClosed()) throw new CheckFailure('connection_closed')
      await connection.rtt()
    })
  const url = own.url === undefined ? null : URL.parse(own.url)
  if (url === null || !/^(nats|tls):$/.test(url.protocol))
    throw invalid('nats', 'needs `connection`, or a `url` that begins with nats:// or tls://')
  return complete(settings, ({ signal }) => greet(url, own, signal))
}

async function greet(url: URL, own: NatsOptions, signal: AbortSignal): Promise<void> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  let socket = connect({ host, port: Number(url.port || 4222) })
  const plain = socket
  try {
    await socketEvent(socket, 'connect', signal)
    const info = await line(socket, signal)
    if (!info.startsWith('INFO ')) throw new CheckFailure('unexpected_answer')
    if (url.protocol === 'tls:' || /"tls_required":\s*true/.test(info)) {
      const tls = await import('node:tls')
      const secure = tls.connect({ socket, servername: host })
      await socketEvent(secure, 'secureConnect', signal)
      socket = secure
    }
    const user = own.user ?? (decodeURIComponent(url.username) || undefined)
    const pass = own.pass ?? (decodeURIComponent(url.password) || undefined)
    const hello = { verbose: false, pedantic: false, lang: 'node', version: '1.0.0', protocol: 1 }
    const credentials = { user, pass, auth_token: own.token }
    socket.write(`CONNECT ${JSON.stringify({ ...hello, ...credentials })}\r\nPING\r\n`)
    const answer = await line(socket, signal)
    if (/^-ERR .*auth/i.test(answer)) throw new CheckFailure('authentication_failed')
    if (answer !== 'PONG') throw new CheckFailure('unexpected_answer')
  } finally {
    socket.destroy()
    plain.destroy()
  }
}

const longestLine = 65_536

/** The next line; what follows it in the same packet does not matter here. */
async function line(socket: Socket, signal: AbortSignal): Promise<string> {
  let text = ''
  for (;;) {
    const piece = Promise.withResolvers<Buffer>()
    socket.once('data', piece.resolve)
    const ended = socketEvent(socket, 'end', signal).then((): never => {
      throw new CheckFailure('connection_closed')
    })
    ended.catch(() => undefined)
    text += (await Promise.race([piece.promise, ended])).toString('utf8')
    const end = text.indexOf('\r\n')
    if (end !== -1) return text.slice(0, end)
    if (text.length > longestLine) throw new CheckFailure('too_large')
  }
}

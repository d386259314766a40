/**
 * An upgrade that nobody here offers is a plain request (RFC 9110, 7.8). A newer Node asks before it upgrades
 * (`shouldUpgradeCallback`); on 22.19 each wish ends here, and the request is given to the parser once more without it. It knows no path.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'

/** Serves a request as if it had not asked for an upgrade. Call it before anybody else listens for connections. */
export function ignoresUpgrades(
  server: Server,
): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
  // Node's own listener: the others count connections, and this one is counted.
  const [parse] = server.listeners('connection')
  return (request, socket, head) => {
    socket.unshift(Buffer.concat([Buffer.from(headOf(request), 'latin1'), head]))
    parse!.call(server, socket)
  }
}

/** The head as it came, less the word that makes the wish one. Node's parser has read it: there is no line break in any part. */
function headOf({ method, url, httpVersion, rawHeaders }: IncomingMessage): string {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    const value = rawHeaders[i + 1]!
    const isWish = name.toLowerCase() === 'connection'
    lines.push(`${name}: ${isWish ? withoutUpgrade(value) : value}`)
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}

const withoutUpgrade = (value: string): string =>
  value
    .split(',')
    .filter((word) => word.trim().toLowerCase() !== 'upgrade')
    .join(',')

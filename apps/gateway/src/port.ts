/**
 * Whether the address can be listened on, found out before anything is started or adopted: a gateway that cannot serve must not touch
 * runners that another one may own.
 */
import { createServer, type AddressInfo } from 'node:net'
import { HealthError } from '@health/core'

/** Says in one line why nothing can listen there. */
export function listenError(host: string, port: number, error: NodeJS.ErrnoException): HealthError {
  const where = `${host}:${port}`
  const texts: Readonly<Record<string, string>> = {
    EADDRINUSE: `Port ${port} of ${host} is taken. Stop the other process, or choose another with --port or PORT (0 is any free one).`,
    EACCES: `${where} may not be listened on by this user. Choose a port above 1023.`,
    EADDRNOTAVAIL: `${host} is not an address of this machine. Check listen.host.`,
    ENOTFOUND: `${host} is not a known host name. Check listen.host.`,
    EAI_AGAIN: `${host} cannot be resolved now. Check listen.host.`,
  }
  return new HealthError(
    'HEALTH_LISTEN',
    texts[error.code ?? ''] ?? `${where} cannot be listened on (${error.code ?? 'unknown'}).`,
  )
}

/** Resolves with the port when the address is free (with a free one for 0); rejects with HEALTH_LISTEN otherwise. */
export function checkPort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error) => reject(listenError(host, port, error)))
    // A listening socket that nobody connected to leaves no trace on the port when it is closed.
    server.listen({ host, port, exclusive: true }, () => {
      const bound = (server.address() as AddressInfo).port
      server.close(() => resolve(bound))
    })
  })
}

/**
 * TLS certificates: connects, lets the certificate be verified, and warns before it expires. A certificate that is not trusted
 * or has expired is unhealthy.
 */
import { connect } from 'node:tls'
import { complete, number, socketEvent, split } from '../measure.ts'
import type { CheckAnswer, CheckOptions, CheckSettings } from '../option.ts'

export interface TlsOptions {
  readonly host: string
  /** Default 443. */
  readonly port?: number
  /** The name to ask for and to verify. Default: the host. */
  readonly servername?: string
  /** Days left below which it is degraded. Default 14. */
  readonly warnDays?: number
  /** Days left below which it is unhealthy. Default 3. */
  readonly minDays?: number
  /** Certificates to trust instead of the system's. */
  readonly ca?: string
}

const day = 86_400_000

const known = {
  host: true,
  port: true,
  servername: true,
  warnDays: true,
  minDays: true,
  ca: true,
} as const satisfies Record<keyof TlsOptions, true>

/** A check of a server's certificate. */
export function tls(options: TlsOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<TlsOptions>('tls', options, known)
  const { host, port = 443, servername = host, warnDays = 14, minDays = 3, ca } = own
  number(port, 'tls.port', 1, 65_535)
  number(warnDays, 'tls.warnDays')
  number(minDays, 'tls.minDays')
  return complete(settings, async ({ signal }): Promise<CheckAnswer> => {
    const socket = connect({ host, port, servername, ...(ca === undefined ? {} : { ca }) })
    try {
      await socketEvent(socket, 'secureConnect', signal)
      const { valid_to: end } = socket.getPeerCertificate()
      const value = Math.floor((Date.parse(end) - Date.now()) / day)
      const observed = { value, unit: 'days' } as const
      if (value < minDays) return { status: 'unhealthy', error: 'certificate_expiring', observed }
      if (value < warnDays) return { status: 'degraded', error: 'certificate_expiring', observed }
      return { status: 'healthy', observed }
    } finally {
      socket.destroy()
    }
  })
}

/** DNS: a name resolves, over the servers given or the system's, to enough records. */
import { Resolver } from 'node:dns/promises'
import { CheckFailure } from '../failure.ts'
import { complete, number, split } from '../measure.ts'
import { invalid, type CheckOptions, type CheckSettings } from '../option.ts'

export interface DnsOptions {
  readonly name: string
  /** Default A. */
  readonly type?: 'A' | 'AAAA' | 'CNAME' | 'MX' | 'NS' | 'SRV' | 'TXT'
  /** Addresses of servers, with a port if it is not 53. Default: the system's. */
  readonly servers?: readonly string[]
  /** Records that must be there. Default 1. */
  readonly minRecords?: number
  /** A value that must be among them (A, AAAA, CNAME, NS). */
  readonly expect?: string
}

const known = {
  name: true,
  type: true,
  servers: true,
  minRecords: true,
  expect: true,
} as const satisfies Record<keyof DnsOptions, true>

/** A check of a DNS name. */
export function dns(options: DnsOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<DnsOptions>('dns', options, known)
  const { name, type = 'A', servers, minRecords = 1, expect } = own
  if (typeof name !== 'string' || name === '') throw invalid('dns.name', 'must be a name')
  number(minRecords, 'dns.minRecords', 1)
  return complete(settings, async ({ signal }) => {
    const resolver = new Resolver({ tries: 2, timeout: 1000 })
    if (servers !== undefined) resolver.setServers(servers)
    const cancel = () => resolver.cancel()
    signal.addEventListener('abort', cancel, { once: true })
    try {
      const records = (await resolver.resolve(name, type)) as readonly unknown[]
      if (records.length < minRecords) throw new CheckFailure('too_small')
      if (expect !== undefined && !records.includes(expect))
        throw new CheckFailure('unexpected_answer')
    } finally {
      signal.removeEventListener('abort', cancel)
    }
  })
}

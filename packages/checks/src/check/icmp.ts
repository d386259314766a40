/**
 * ICMP ping: runs the system's `ping`, which has the right to send echo requests that Node has not. Without that program the
 * check says `not_supported` by name. No shell is involved, and a host can never become an option.
 */
import { isIP } from 'node:net'
import { CheckFailure } from '../failure.ts'
import { complete, run, split } from '../measure.ts'
import { invalid, type CheckOptions, type CheckSettings } from '../option.ts'

export interface IcmpOptions {
  /** Name or address. */
  readonly host: string
  /** Default `ping`, looked for on the PATH. */
  readonly program?: string
}

const known = { host: true, program: true } as const satisfies Record<keyof IcmpOptions, true>

/** A check that a host answers one echo request. */
export function icmp(options: IcmpOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<IcmpOptions>('icmp', options, known)
  const { host, program = 'ping' } = own
  const isName = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host)
  if (!isName && isIP(host) === 0) throw invalid('icmp.host', 'must be a host name or an address')
  const seconds = Math.max(1, Math.ceil(options.timeoutSeconds ?? 5))
  return complete(settings, async ({ signal }) => {
    const { code } = await run(program, ['-n', '-c', '1', '-W', String(seconds), host], signal)
    // By the manual 1 is "no answer"; everything above is that it could not even ask.
    if (code === 1) throw new CheckFailure('host_unreachable')
    if (code === 2) throw new CheckFailure('host_not_found')
    if (code !== 0) throw new CheckFailure('not_supported')
  })
}

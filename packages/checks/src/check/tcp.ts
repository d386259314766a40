/** TCP: a port accepts a connection. It says nothing about what listens there. */
import { connect } from 'node:net'
import { complete, needed, socketEvent, split } from '../measure.ts'
import type { CheckOptions, CheckSettings } from '../option.ts'

export interface TcpOptions {
  readonly port: number
  /** Default 127.0.0.1. */
  readonly host?: string
}

const known = { port: true, host: true } as const satisfies Record<keyof TcpOptions, true>

/** A check of a TCP port. */
export function tcp(options: TcpOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<TcpOptions>('tcp', options, known)
  const { port, host = '127.0.0.1' } = own
  needed(port, 'tcp.port', 1, 65_535)
  return complete(settings, async ({ signal }) => {
    const socket = connect({ port, host })
    try {
      await socketEvent(socket, 'connect', signal)
    } finally {
      socket.destroy()
    }
  })
}

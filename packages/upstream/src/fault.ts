/** Why a connection did not come about, in the words of the port, from the system's error code. */
import type { Cut } from './route.ts'

/** `lost` for a connection that was never made. */
export function cutOfConnect(code: string): Cut {
  switch (code) {
    case 'ECONNREFUSED':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'refused'
    case 'ETIMEDOUT':
      return 'connect_timeout'
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOBUFS':
    case 'EADDRNOTAVAIL':
      return 'no_socket'
    default:
      return 'disconnected'
  }
}

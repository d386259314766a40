/**
 * Says in one word why a check failed. Texts of errors name hosts, users and sometimes passwords, so none is ever passed on:
 * what is not in the table of codes, or declared by the check itself, becomes `failed`.
 */

/** Every code a ready-made check answers with, and what it means. */
export const failureCodes = {
  timeout: 'No answer within the check’s timeout.',
  not_checked_yet: 'The check has not answered once since the start.',
  connection_refused: 'Nothing listens there.',
  connection_closed: 'The other side closed or reset the connection.',
  host_not_found: 'The name does not resolve.',
  host_unreachable: 'No route to the host.',
  authentication_failed: 'The other side refused the credentials.',
  permission_denied: 'The credentials or the process may not do this.',
  database_missing: 'The server is there, the database or virtual host is not.',
  starting_up: 'The server is there and not ready yet, or going down.',
  read_only: 'The server or file takes no writes.',
  locked: 'Somebody else holds the lock.',
  exhausted: 'No free connection, file handle or other resource.',
  tls_failed: 'No secure connection could be made.',
  certificate_untrusted: 'The certificate is not trusted or for another name.',
  certificate_expired: 'The certificate has expired or is not valid yet.',
  certificate_expiring: 'The certificate expires soon.',
  unexpected_status: 'The answer has another status than expected.',
  unexpected_answer: 'The answer is not what was expected.',
  too_large: 'The answer or value is larger than allowed.',
  too_small: 'The value is smaller than allowed.',
  too_old: 'The last success, answer or change is too long ago.',
  over_limit: 'A measured value is over its limit.',
  not_found: 'The file, process, record or device does not exist.',
  not_running: 'The process is not running.',
  skewed: 'The clock differs too much from the reference.',
  not_supported: 'This machine cannot tell: a program or interface is missing.',
  misconfigured: 'The check itself is set up wrongly.',
  failed: 'It failed; no code says why.',
} as const

export type FailureCode = keyof typeof failureCodes

/**
 * Thrown by a check to say why it failed: `throw new CheckFailure('too_old')`. A code of your own is shown when the check
 * declares it (`codes: ['model_stale']`). `degraded` is a warning instead of a failure.
 */
export class CheckFailure extends Error {
  override readonly name = 'CheckFailure'
  readonly code: string
  readonly status: 'degraded' | 'unhealthy'

  constructor(code: string, status: 'degraded' | 'unhealthy' = 'unhealthy') {
    super(code)
    this.code = code
    this.status = status
  }
}

/** Codes of Node and of the clients of servers, and the word that is shown for them. */
const byCode: Readonly<Record<string, FailureCode>> = {
  ECONNREFUSED: 'connection_refused',
  CONNECTION_REFUSED: 'connection_refused',
  CONN_REFUSED: 'connection_refused',
  ECONNRESET: 'connection_closed',
  EPIPE: 'connection_closed',
  ECONNABORTED: 'connection_closed',
  PROTOCOL_CONNECTION_LOST: 'connection_closed',
  CONNECTION_CLOSED: 'connection_closed',
  DISCONNECT: 'connection_closed',
  UND_ERR_SOCKET: 'connection_closed',
  ENOTFOUND: 'host_not_found',
  EAI_AGAIN: 'host_not_found',
  ENODATA: 'host_not_found',
  EHOSTUNREACH: 'host_unreachable',
  ENETUNREACH: 'host_unreachable',
  ETIMEDOUT: 'timeout',
  ETIMEOUT: 'timeout',
  TIMEOUT: 'timeout',
  ABORT_ERR: 'timeout',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  ERR_MODULE_NOT_FOUND: 'misconfigured',
  EACCES: 'permission_denied',
  EPERM: 'permission_denied',
  ENOENT: 'not_found',
  ENOTDIR: 'not_found',
  EROFS: 'read_only',
  EMFILE: 'exhausted',
  ENFILE: 'exhausted',
  ENOSPC: 'exhausted',
  // PostgreSQL's SQLSTATE
  '28P01': 'authentication_failed',
  '28000': 'authentication_failed',
  '3D000': 'database_missing',
  '42501': 'permission_denied',
  '53300': 'exhausted',
  '57P01': 'starting_up',
  '57P02': 'starting_up',
  '57P03': 'starting_up',
  '25006': 'read_only',
  '55P03': 'locked',
  '57014': 'timeout',
  // MySQL and MariaDB
  ER_ACCESS_DENIED_ERROR: 'authentication_failed',
  ER_ACCESS_DENIED_NO_PASSWORD_ERROR: 'authentication_failed',
  ER_DBACCESS_DENIED_ERROR: 'permission_denied',
  ER_BAD_DB_ERROR: 'database_missing',
  ER_CON_COUNT_ERROR: 'exhausted',
  ER_SERVER_SHUTDOWN: 'starting_up',
  ER_OPTION_PREVENTS_STATEMENT: 'read_only',
  HANDSHAKE_SSL_ERROR: 'tls_failed',
  // NATS
  AUTHORIZATION_VIOLATION: 'authentication_failed',
  AUTHENTICATION_EXPIRED: 'authentication_failed',
  PERMISSIONS_VIOLATION: 'permission_denied',
  // TLS
  CERT_HAS_EXPIRED: 'certificate_expired',
  CERT_NOT_YET_VALID: 'certificate_expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'certificate_untrusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate_untrusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate_untrusted',
  UNABLE_TO_GET_ISSUER_CERT: 'certificate_untrusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'certificate_untrusted',
  CERT_REVOKED: 'certificate_untrusted',
  ERR_TLS_CERT_ALTNAME_INVALID: 'certificate_untrusted',
  ERR_SSL_WRONG_VERSION_NUMBER: 'tls_failed',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'tls_failed',
  EPROTO: 'tls_failed',
}

/** Clients that say in the text alone what happened. The text is looked at here and goes no further. */
const byText: readonly (readonly [RegExp, FailureCode])[] = [
  [/^(WRONGPASS|NOAUTH)\b|invalid password|ACCESS_REFUSED|ACCESS-REFUSED/, 'authentication_failed'],
  [/^NOPERM\b/, 'permission_denied'],
  [/^(LOADING|MASTERDOWN|BUSY)\b/, 'starting_up'],
  [/^READONLY\b/, 'read_only'],
  [/^ERR max number of clients/, 'exhausted'],
  // The broker took the credentials and closed while the virtual host was being opened.
  [/^Expected ConnectionOpenOk; got <ConnectionClose/, 'database_missing'],
  [/database is locked/, 'locked'],
  [
    /socket closed abruptly|Connection is closed|connection (was )?terminated/i,
    'connection_closed',
  ],
]

const names: Readonly<Record<string, FailureCode>> = {
  TimeoutError: 'timeout',
  AbortError: 'timeout',
  MongoServerSelectionError: 'timeout',
  MongoNetworkTimeoutError: 'timeout',
  MongoNetworkError: 'connection_closed',
  KafkaJSConnectionClosedError: 'connection_closed',
  KafkaJSRequestTimeoutError: 'timeout',
  KafkaJSSASLAuthenticationError: 'authentication_failed',
}

const nothing: ReadonlySet<string> = new Set()

/** The code to show for whatever a check threw. `declared` are the check's own codes. Never throws. */
export function codeOf(thrown: unknown, declared: ReadonlySet<string> = nothing): string {
  try {
    return search(thrown, declared, 0) ?? 'failed'
  } catch {
    // A getter or proxy that throws: even that is no reason to tell more.
    return 'failed'
  }
}

function search(thrown: unknown, declared: ReadonlySet<string>, depth: number): string | null {
  if (typeof thrown !== 'object' || thrown === null || depth > 3) return null
  const error = thrown as Record<string, unknown>
  if (thrown instanceof CheckFailure) {
    const known = Object.hasOwn(failureCodes, thrown.code) || declared.has(thrown.code)
    return known ? thrown.code : 'failed'
  }
  const { code, name, message } = error
  if (typeof code === 'string' && Object.hasOwn(byCode, code)) return byCode[code] as string
  if (Number(error['code']) === 18 && name === 'MongoServerError') return 'authentication_failed'
  if (typeof name === 'string' && Object.hasOwn(names, name)) return names[name] as string
  if (typeof message === 'string') {
    const start = message.slice(0, 500)
    const found = byText.find(([pattern]) => pattern.test(start))
    if (found !== undefined) return found[1]
  }
  const inner = Array.isArray(error['errors']) ? (error['errors'] as unknown[])[0] : undefined
  return search(inner, declared, depth + 1) ?? search(error['cause'], declared, depth + 1)
}

import { describe, expect, test } from 'vitest'
import { CheckFailure, codeOf, failureCodes } from '../src/index.ts'

const coded = (code: unknown, more: object = {}) => Object.assign(new Error('x'), { code, ...more })

describe('codeOf', () => {
  test.for<[string, unknown, string]>([
    ['Node', coded('ECONNREFUSED'), 'connection_refused'],
    [
      'happy eyeballs',
      new AggregateError([coded('ECONNREFUSED'), coded('ETIMEDOUT')]),
      'connection_refused',
    ],
    ['a cause', new Error('fetch failed', { cause: coded('ENOTFOUND') }), 'host_not_found'],
    ['PostgreSQL password', coded('28P01'), 'authentication_failed'],
    ['PostgreSQL database', coded('3D000'), 'database_missing'],
    ['PostgreSQL starting', coded('57P03'), 'starting_up'],
    ['PostgreSQL full', coded('53300'), 'exhausted'],
    ['MySQL', coded('ER_ACCESS_DENIED_ERROR'), 'authentication_failed'],
    [
      'Redis without password',
      new Error('NOAUTH Authentication required.'),
      'authentication_failed',
    ],
    [
      'Redis with a wrong one',
      new Error('WRONGPASS invalid username-password pair'),
      'authentication_failed',
    ],
    ['Redis loading', new Error('LOADING Redis is loading the dataset in memory'), 'starting_up'],
    [
      'RabbitMQ',
      new Error('Handshake terminated by server: 403 (ACCESS-REFUSED)'),
      'authentication_failed',
    ],
    ['NATS', coded('AUTHORIZATION_VIOLATION'), 'authentication_failed'],
    ['MongoDB', coded(18, { name: 'MongoServerError' }), 'authentication_failed'],
    ['MongoDB, no server', coded(undefined, { name: 'MongoServerSelectionError' }), 'timeout'],
    [
      'Kafka',
      coded(undefined, { name: 'KafkaJSSASLAuthenticationError' }),
      'authentication_failed',
    ],
    ['TLS', coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'certificate_untrusted'],
    ['a timeout', new DOMException('late', 'TimeoutError'), 'timeout'],
    ['a code that is a secret', coded('hunter2'), 'failed'],
    ['a code that is in every object', coded('constructor'), 'failed'],
    ['a name that is in every object', coded(undefined, { name: 'toString' }), 'failed'],
    ['a text', 'password=hunter2', 'failed'],
    ['null', null, 'failed'],
    ['itself as its cause', Object.assign(coded('x'), { cause: {} }), 'failed'],
  ])('%s', ([, thrown, expected]) => {
    expect(codeOf(thrown)).toBe(expected)
  })

  test('ends on a circle of causes', () => {
    const error = new Error('x')
    error.cause = error
    expect(codeOf(error)).toBe('failed')
  })

  test('a declared code is shown, another is not', () => {
    const declared = new Set(['model_stale'])
    expect(codeOf(new CheckFailure('model_stale'), declared)).toBe('model_stale')
    expect(codeOf(new CheckFailure('model_gone'), declared)).toBe('failed')
  })

  test('every code is a lower-case word with a sentence', () => {
    for (const [code, meaning] of Object.entries(failureCodes)) {
      expect(code).toMatch(/^[a-z_]+$/)
      expect(meaning).toMatch(/^[A-Z].*\.$/)
    }
  })
})

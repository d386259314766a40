import { expect, test } from 'vitest'
import { endingOf } from '../src/failure.ts'

test.for([
  ['ECONNREFUSED', 'failed', 'refused'],
  ['ECONNRESET', 'failed', 'reset'],
  ['EPIPE', 'failed', 'reset'],
  ['ETIMEDOUT', 'failed', 'timeout'],
  ['EHOSTUNREACH', 'failed', 'timeout'],
  ['ENOTFOUND', 'failed', 'invalid'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'failed', 'invalid'],
  ['EMFILE', 'errored', undefined],
  ['ENFILE', 'errored', undefined],
  ['ENOBUFS', 'errored', undefined],
  ['EADDRNOTAVAIL', 'errored', undefined],
  ['ENETUNREACH', 'errored', undefined],
  ['EAI_AGAIN', 'errored', undefined],
] as const)('%s is %s %s', ([code, result, why]) => {
  expect(endingOf(Object.assign(new Error('x'), { code }))).toMatchObject({
    result,
    ...(why && { why }),
  })
})

// A refusal that quotes what was sent is as short as any other.
import { HealthError } from '@health/core'
import { expect, test } from 'vitest'
import { errorBody, refusalOf } from '../src/error-answer.ts'

test('a body names a long field by its beginning', () => {
  const long = 'a'.repeat(1_000_000)
  const body = errorBody({
    status: 422,
    errorType: 'invalid_value',
    detail: `${long} is not a field.`,
    path: long,
  })
  expect(JSON.stringify(body).length).toBeLessThan(4000)
  expect(body['message']).toBe(body['detail'])
})

test.for([
  ['HEALTH_QUEUE_FULL', 429],
  ['HEALTH_STORAGE_FAILED', 503],
  ['HEALTH_QUEUE_CLOSED', 503],
] as const)('%s is a %i that says when to come again', ([code, status]) => {
  expect(refusalOf(new HealthError(code, 'Not now.'))).toMatchObject({
    status,
    detail: 'Not now.',
    headers: { 'retry-after': '1' },
  })
})

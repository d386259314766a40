// A refusal that quotes what was sent is as short as any other.
import { expect, test } from 'vitest'
import { errorBody } from '../src/error-answer.ts'

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

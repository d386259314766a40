/** The bounds of a journal: a small whole makes small files, because only whole files are deleted. */
import { expect, test } from 'vitest'
import { boundsOf } from '../src/option.ts'

test.for([
  ['as they are by default', {}, 64 << 20, 1 << 30],
  ['as given', { segmentBytes: 1000, maxBytes: 8000 }, 1000, 8000],
  ['a small whole alone', { maxBytes: 10 << 20 }, 5 << 20, 10 << 20],
  ['a file above the whole', { segmentBytes: 10_000_000, maxBytes: 8192 }, 4096, 8192],
] as const)('%s', ([, given, segmentBytes, maxBytes]) => {
  expect(boundsOf(given)).toMatchObject({ segmentBytes, maxBytes })
})

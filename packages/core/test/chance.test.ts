/** Draws must be the same for ever (journals are replayed) and even enough for jitter. */
import { expect, test } from 'vitest'
import { chance, hashText } from '../src/chance.ts'

test.for([
  { draw: [0, 0, 0], expected: 0.9081385212484747 },
  { draw: [1, 2, 3], expected: 0.420996802393347 },
  { draw: [3, 2, 1], expected: 0.5939443332608789 },
  { draw: [-1, 0xffff_ffff, 2 ** 31], expected: 0.8182620322331786 },
] as const)(
  'chance($draw) is the same for ever',
  ({ draw: [seed, subject, counter], expected }) => {
    expect(chance(seed, subject, counter)).toBe(expected)
  },
)

test.for([
  { text: '', expected: 2_872_998_923 },
  { text: 'a', expected: 3_007_810_216 },
  { text: 'runner-1', expected: 2_167_853_641 },
  { text: 'läufer 🏃', expected: 1_674_349_225 },
])('hashText($text) is the same for ever', ({ text, expected }) => {
  expect(hashText(text)).toBe(expected)
})

test.for([
  { along: 'counters', draw: (i: number) => chance(7, 3, i) },
  { along: 'subjects', draw: (i: number) => chance(7, i, 3) },
  { along: 'seeds', draw: (i: number) => chance(i, 7, 3) },
  { along: 'counters and subjects together', draw: (i: number) => chance(7, i & 255, i >> 8) },
  { along: 'the hashes of ids', draw: (i: number) => chance(7, hashText(`runner-${i}`), 0) },
  { along: 'hashes themselves', draw: (i: number) => hashText(`runner-${i}`) / 2 ** 32 },
])('draws are even along $along', ({ draw }) => {
  const draws = Array.from({ length: 65_536 }, (_, i) => draw(i))
  expect(draws.every((each) => each >= 0 && each < 1)).toBe(true)
  // 64 buckets of 1024: chi-square with 63 degrees of freedom stays under 120 except once in 100,000.
  const buckets = Array.from({ length: 64 }, () => 0)
  for (const each of draws) buckets[Math.floor(each * 64)]!++
  const spread = buckets.reduce((sum, count) => sum + (count - 1_024) ** 2 / 1_024, 0)
  expect(spread).toBeLessThan(120)
  // Neighbours know nothing of each other: the correlation of 65,536 pairs is within four standard errors.
  const pairs = draws.slice(1).map((each, i) => (each - 0.5) * (draws[i]! - 0.5))
  const correlation = (12 * pairs.reduce((sum, each) => sum + each, 0)) / pairs.length
  expect(Math.abs(correlation)).toBeLessThan(4 / 256)
})

test('no two of a hundred thousand ids draw alike more often than chance allows', () => {
  const hashes = new Set(Array.from({ length: 100_000 }, (_, i) => hashText(`runner-${i}`)))
  // 1.2 collisions are expected of 32 bits.
  expect(100_000 - hashes.size).toBeLessThan(8)
})

test('another counter of one subject does not move the draws of another', () => {
  const before = chance(5, 1, 10)
  chance(5, 2, 10)
  chance(5, 2, 11)
  expect(chance(5, 1, 10)).toBe(before)
})

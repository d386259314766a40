import { expect, test } from 'vitest'
import { createTokens } from '../src/channel-token.ts'

const caller = { scope: 'admin', owner: 'abc' } as const

test('a token says whose it is and what it may, until its time is over', () => {
  let now = 1000
  const tokens = createTokens(() => now)
  const token = tokens.issue(caller, 'read', 60)
  expect(tokens.read(token)).toEqual({ scope: 'read', owner: 'abc', forMs: 60_000 })
  now += 59_999
  expect(tokens.read(token)).toMatchObject({ forMs: 1 })
  now += 1
  expect(tokens.read(token)).toBeNull()
})

test('a token of another process is none', () => {
  const token = createTokens(() => 0).issue(caller, 'read', 60)
  expect(createTokens(() => 0).read(token)).toBeNull()
})

test('every changed character makes it worthless', () => {
  const tokens = createTokens(() => 0)
  const token = tokens.issue(caller, 'read', 60)
  const broken = Array.from(
    token,
    (character, i) => token.slice(0, i) + (character === 'A' ? 'B' : 'A') + token.slice(i + 1),
  )
  // The last character carries bits that no byte has.
  expect(broken.slice(0, -1).filter((each) => tokens.read(each) !== null)).toEqual([])
})

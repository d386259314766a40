// The page about the channel names what the code knows, and nothing that it does not.
import { readFileSync } from 'node:fs'
import { topics } from '@health/realtime'
import { expect, test } from 'vitest'

const root = new URL('../../../', import.meta.url)
const page = readFileSync(new URL('docs/reference/channel.md', root), 'utf8')
const source = (file: string): string =>
  readFileSync(new URL(`packages/realtime/src/${file}`, root), 'utf8')

test('every topic, and no other', () => {
  expect(page).toContain(`Topics: ${topics.map((topic) => `\`${topic}\``).join(', ')}.`)
})

test('every code of a complaint, and no other', () => {
  const codes = new Set(
    [...source('message.ts').matchAll(/complain\(\s*'(\w+)'/g)].map(([, code]) => code),
  )
  const said = new Set([...page.matchAll(/`((?:bad|unknown)_\w+)`/g)].map(([, code]) => code))
  expect(said).toEqual(codes)
})

test('every code of a close, and no other', () => {
  const text = source('websocket.ts') + source('subscriber.ts')
  const codes = new Set([...text.matchAll(/end\((\d{4}),/g)].map(([, code]) => code))
  const said = new Set([...page.matchAll(/^\| (\d{4}) \|/gm)].map(([, code]) => code))
  // ws itself closes with this one.
  expect(said).toEqual(new Set([...codes, '1009']))
})

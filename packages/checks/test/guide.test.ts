import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  checkupOptionNames,
  endpointOptionNames,
  failureCodes,
  runnerErrors,
} from '../src/index.ts'

// The guide is written by hand; what it lists is held to the code here, in both directions.
const guide = readFileSync(
  new URL('../../../docs/guides/health-endpoints.md', import.meta.url),
  'utf8',
)

/** First words of the rows of the table under a heading. */
function rows(heading: string): string[] {
  const section = guide.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return [...section.matchAll(/^\| `([^`]+)` +\|/gm)].map(([, word]) => word!)
}

test('every code, and no other', () => {
  const listed = [...guide.matchAll(/^\| `([a-z_]+)` +\| ([A-Z].*\.) +\|$/gm)]
  expect(listed.map(([, code, meaning]) => [code, meaning])).toEqual(Object.entries(failureCodes))
})

test('every ready-made check, and no other', () => {
  const files = readdirSync(new URL('../src/check', import.meta.url))
  const names = files.map((file) => file.replace('.ts', ''))
  expect(rows('Ready-made checks').toSorted()).toEqual(names.toSorted())
})

test('every option of a check, and no other', () => {
  const source = readFileSync(new URL('../src/option.ts', import.meta.url), 'utf8')
  const body = /export interface CheckOptions \{(.*?)\n\}/s.exec(source)?.[1] ?? ''
  const names = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name!)
  expect(names.length).toBeGreaterThan(10)
  expect(rows('A check').toSorted()).toEqual(names.toSorted())
})

test('every option of a checkup and of the endpoints, and every kind of runner error, is spoken of', () => {
  const names = [checkupOptionNames, endpointOptionNames, runnerErrors].flatMap(Object.keys)
  const words = new Set(guide.match(/\w+/g))
  // The log is Fastify's own unless another is given.
  expect(names.filter((name) => name !== 'log' && !words.has(name))).toEqual([])
})

test('every import of a ready-made check names what that file exports', async () => {
  const lines = [...guide.matchAll(/^\| `([a-z-]+)` +\| `([A-Za-z]+)` +\|/gm)]
  expect(lines.length).toBe(rows('Ready-made checks').length)
  for (const [, file, name] of lines) {
    const module = (await import(`../src/check/${file}.ts`)) as Record<string, unknown>
    expect([name, typeof module[name!]]).toEqual([name, 'function'])
  }
})

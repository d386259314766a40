/**
 * Kept journals give the same orders and records, byte for byte. A change of the core that is meant rewrites them with
 * `HEALTH_GOLDEN=write`; the difference in the commit then says what the change does to runners.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  createFleet,
  decodeHeader,
  decodeLine,
  encodeHeader,
  encodeLine,
  restore,
  snapshot,
  step,
} from '../src/index.ts'
import { stories } from './story.ts'

const folder = join(import.meta.dirname, 'journals')
const journalOf = (name: string): string => join(folder, `${name}.jsonl`)
const goldenOf = (name: string): string => join(folder, `${name}.golden.jsonl`)

/** Orders and records of a journal, one a line; a minute after its last fact included. `cut`: restored at every step. */
function replayed(journal: string, cut: boolean): string {
  const [first, ...lines] = journal.split('\n').filter((line) => line !== '')
  const { policy, seed } = decodeHeader(first!)
  let fleet = createFleet(policy, { seed })
  let out = ''
  const events = lines.map(decodeLine)
  for (const event of [
    ...events,
    { type: 'time.passed' as const, at: events.at(-1)!.at + 60_000 },
  ]) {
    const { seq, commands, decisions } = step(fleet, event)
    for (const command of commands) out += `${JSON.stringify({ after: seq, command })}\n`
    for (const decision of decisions) out += `${JSON.stringify({ after: seq, decision })}\n`
    if (cut) fleet = restore(JSON.parse(JSON.stringify(snapshot(fleet))))
  }
  return out
}

if (process.env['HEALTH_GOLDEN'] === 'write')
  for (const [name, tell] of Object.entries(stories)) {
    const { journal } = tell()
    const text =
      encodeHeader({}, 1) + journal.map((event) => encodeLine(event, event.seq!)).join('')
    writeFileSync(journalOf(name), text)
    writeFileSync(goldenOf(name), replayed(text, false))
  }

test('every story has its journal, and every journal its story', () => {
  const kept = readdirSync(folder).filter((file) => !file.endsWith('.golden.jsonl'))
  expect(kept.toSorted()).toEqual(
    Object.keys(stories)
      .map((name) => `${name}.jsonl`)
      .toSorted(),
  )
})

test.for(Object.keys(stories))('%s: the same orders and records, byte for byte', (name) => {
  const journal = readFileSync(journalOf(name), 'utf8')
  const golden = readFileSync(goldenOf(name), 'utf8')
  expect(golden.split('\n').length).toBeGreaterThan(10)
  expect(replayed(journal, false)).toBe(golden)
  expect(replayed(journal, true)).toBe(golden)
})

/** `health replay`: journals from disk, as a table, JSON and a picture; what is refused, and with which exit code. */
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeLine, snapshot, type WhatIfResult } from '@health/core'
import { live, type WorldOptions } from '@health/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Ran, run } from './terminal.ts'

const folder = mkdtempSync(join(tmpdir(), 'health-replay-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Ten runners; the second is sick for good, the third fails twice and is well again. */
const world = (until: number): WorldOptions => ({
  seed: 2,
  until,
  apps: [
    {
      id: 'demo/<app>',
      options: {
        healthCheck: { path: '/health', intervalSeconds: 10, timeoutSeconds: 2 },
        startupTimeoutSeconds: 30,
        minConcurrency: 10,
        maxConcurrency: 10,
      },
    },
  ],
  sick: ({ life }, at) =>
    (life === 2 && at > 120_000) || (life === 3 && at > 300_000 && at < 320_000)
      ? { share: 1, why: 'status' }
      : null,
  gapEveryMs: 400_000,
})
const header = (seq: number): string =>
  `${JSON.stringify({ format: 1, policy: {}, seed: 2, seq, at: 0 })}\n`
const data = join(folder, 'data')
const journal = join(data, 'journal')
const file = (n: number): string => join(journal, `0000000${n}.jsonl`)

beforeAll(() => {
  mkdirSync(journal, { recursive: true })
  const { journal: events } = live(world(600_000))
  const half = events.length >> 1
  const text = (list: typeof events): string =>
    list.map((event) => encodeLine(event, event.seq!)).join('')
  writeFileSync(file(1), header(0) + text(events.slice(0, half)))
  writeFileSync(file(2), header(events[half - 1]!.seq!) + text(events.slice(half)))
  writeFileSync(join(folder, 'two.json'), '{ "failureThreshold": 2 }')
  writeFileSync(join(folder, 'five.yaml'), 'apps: { demo/<app>: { failureThreshold: 5 } }\n')
  writeFileSync(
    join(folder, 'config.yaml'),
    'listen: { port: 1 }\npolicy: { capPercent: 20 }\napps: { demo/<app>: { command: [x], env: { A: b }, healthCheck: { path: /health, intervalSeconds: 10, failureThreshold: 2 } } }\n',
  )
  writeFileSync(join(folder, 'interval.json'), '{ "intervalSeconds": 5 }')
  writeFileSync(join(folder, 'wrong.json'), '{ "failureTreshold": 5 }')
})

const replay = (...args: readonly string[]): Promise<Ran> =>
  run(['replay', ...args], { caller: folder, cwd: folder })
const asJson = async (...args: readonly string[]): Promise<WhatIfResult & { journal: string }> =>
  JSON.parse((await replay(...args, '--json')).out) as WhatIfResult & { journal: string }

test('a data directory, its journal folder and one file of it are journals', async () => {
  const [whole, same] = [await asJson('data'), await asJson('data/journal')]
  expect(whole.journal).toBe(data)
  expect({ ...whole, journal: '' }).toEqual({ ...same, journal: '' })
  const one = await asJson('data/journal/00000001.jsonl')
  expect([one.events > 100, one.events < whole.events]).toEqual([true, true])
  expect(whole.counts.lives).toBe(11)
})

test('without a policy: what really happened', async () => {
  const ran = await replay('data')
  expect(ran).toMatchObject({ code: 0, err: '' })
  expect(ran.out).toMatch(
    /^recorded +\+0 s to \+0:\d\d:\d\d \(0:\d\d:\d\d\): \d+ events, 11 lives$/m,
  )
  expect(ran.out).toMatch(/^ended +1 by health\.threshold$/m)
  expect(ran.out).toMatch(
    /^<app>-\S+ +1 +demo\/<app> .* health\.threshold \(health_check_failed\)$/m,
  )
})

test.for([['two.json'], ['config.yaml']] as const)(
  '%s: an ending that is earlier is certain, with what the journal shows afterwards',
  async ([policy]) => {
    const ran = await replay('data', '--policy', policy)
    expect(ran).toMatchObject({ code: 0, err: '' })
    expect(ran.out).toMatch(/^differs +failureThreshold of demo\/<app>$/m)
    expect(ran.out).toMatch(
      /^earlier +2, certain; 1 of them later passed more checks than they failed$/m,
    )
    expect(ran.out).toContain('They are never added up.')
    expect(ran.out).toMatch(
      /lives on .*certain; in the .* after it really passed \d+ checks, failed \d+/,
    )
    const { lives, differs } = await asJson('data', '--policy', policy)
    expect(differs).toEqual({ 'demo/<app>': ['failureThreshold'] })
    expect(lives.filter(({ fate }) => fate === 'earlier')).toHaveLength(2)
  },
)

test('a spared life is unknown between its bounds', async () => {
  const ran = await replay('data', '--policy', 'five.yaml')
  expect(ran.out).toMatch(
    /spared +then unknown: \S+ had it gone on failing, not at all had it recovered/,
  )
  const { lives } = await asJson('data', '--policy', 'five.yaml')
  expect(lives.find(({ fate }) => fate === 'spared')!.bounds).toEqual({
    ifFailing: expect.any(Number),
    ifRecovered: null,
  })
})

/** Reads XML strictly enough to see that a browser will: every tag closed in order, every attribute quoted, no bare & or <. */
function readXml(text: string): readonly string[] {
  const open: string[] = []
  const seen: string[] = []
  let rest = text
  while (rest.length > 0) {
    const found =
      /^<(\/?)([a-zA-Z]+)((?: [a-zA-Z-:]+="[^"<]*")*)(\/?)>/.exec(rest) ??
      /^(?:[^<&]|&#?[a-z0-9]+;)+/.exec(rest)
    if (found === null) throw new Error(`no XML at ${rest.slice(0, 60)}`)
    rest = rest.slice(found[0].length)
    const [, close, name, , single] = found
    if (name === undefined) continue
    seen.push(name)
    if (close === '/') {
      if (open.pop() !== name) throw new Error(`${name} closes nothing`)
    } else if (single !== '/') open.push(name)
  }
  if (open.length > 0) throw new Error(`${open.join()} stay open`)
  return seen
}

test('a journal that says which day it was is told in dates', async () => {
  const dated = join(folder, 'dated.jsonl')
  const [head, ...lines] = readFileSync(file(1), 'utf8').trimEnd().split('\n')
  const wall = Date.UTC(2026, 0, 2, 3, 4, 5)
  const started = `{"seq":1,"at":0,"type":"core.started","version":"1","wall":${wall}}`
  const later = lines.map((line) => line.replace(/"seq":(\d+)/, (_, n) => `"seq":${Number(n) + 1}`))
  writeFileSync(dated, `${[head, started, ...later].join('\n')}\n`)
  expect((await replay('dated.jsonl')).out).toMatch(
    /^recorded +2026-01-02T03:04:05\.000Z to 2026-01-02T03:0/,
  )
})

test('the picture is an SVG that needs nothing else: a row per life, names from elsewhere escaped', async () => {
  const ran = await replay('data', '--policy', 'five.yaml', '--svg', 'lives.svg')
  expect(ran).toMatchObject({ code: 0, err: `wrote ${join(folder, 'lives.svg')}\n` })
  const svg = readFileSync(join(folder, 'lives.svg'), 'utf8')
  const tags = readXml(svg)
  expect(tags[0]).toBe('svg')
  expect(tags.filter((tag) => tag === 'g')).toHaveLength(2 * 11)
  expect(tags).not.toContain('script')
  expect(svg.match(/https?:\/\/[^"]+/g)).toEqual(['http://www.w3.org/2000/svg'])
  expect(svg).toContain('class="unknown"')
  expect(svg).toContain('demo/&#60;app&#62;')
  const nowhere = await replay('data', '--svg', 'no/such/folder.svg')
  expect(nowhere.code).toBe(1)
  expect(nowhere.err).toContain('cannot be written (ENOENT)')
})

test.for([
  [
    ['data', '--policy', 'interval.json'],
    1,
    'HEALTH_REPLAY_REFUSED: intervalSeconds cannot be asked of a journal',
  ],
  [
    ['data', '--policy', 'interval.json'],
    1,
    'Leave it out: only a fleet that runs with it can tell.',
  ],
  [['data', '--policy', 'wrong.json'], 1, 'the nearest is failureThreshold'],
  [['data', '--policy', 'absent.json'], 1, 'absent.json does not exist'],
  [['nowhere'], 5, 'There is no journal at'],
  [[], 1, 'JOURNAL is missing'],
] as const)('%j ends with %i', async ([args, code, text]) => {
  const ran = await replay(...args)
  expect(ran.code).toBe(code)
  expect(ran.err).toContain(text)
  expect(ran.err.trim().split('\n')).toHaveLength(1)
})

test('a torn last line is left out and said; a broken one before it is refused by file and line', async () => {
  const torn = join(folder, 'torn')
  cpSync(journal, torn, { recursive: true })
  appendFileSync(join(torn, '00000002.jsonl'), '{"seq":99999999,"at":6')
  const ran = await replay('torn')
  expect(ran.code).toBe(0)
  expect(ran.err).toMatch(
    /^warning: The last line of the journal, \S+00000002\.jsonl:\d+, was torn/,
  )
  appendFileSync(join(torn, '00000002.jsonl'), '\n{"seq":1,"at":1,"type":"x"}\n')
  const broken = await replay('torn')
  expect(broken.code).toBe(3)
  expect(broken.err).toMatch(/^HEALTH_JOURNAL_CORRUPT: \S.*00000002\.jsonl:\d+/)
  writeFileSync(join(folder, 'new.jsonl'), '{"format":9}\n')
  expect((await replay('new.jsonl')).err).toContain('HEALTH_JOURNAL_FORMAT')
})

test('a journal whose beginning was deleted begins at the snapshot beside it; without one it says what is missing', async () => {
  const short = join(folder, 'short')
  cpSync(data, short, { recursive: true })
  rmSync(join(short, 'journal/00000001.jsonl'))
  const without = await replay('short')
  expect(without.code).toBe(3)
  expect(without.err).toContain('no snapshot that it continues is beside it')
  const { fleet } = live(world(400_000))
  mkdirSync(join(short, 'snapshots'))
  writeFileSync(
    join(short, 'snapshots/00000001.json'),
    JSON.stringify({ format: 1, seq: fleet.seq, at: fleet.now, wall: [], fleet: snapshot(fleet) }),
  )
  const { lives, counts } = await asJson('short')
  expect(counts).toMatchObject({ lives: 10, same: 10 })
  expect(lives.every(({ begunAt }) => begunAt >= 400_000)).toBe(true)
})

test('the lines of a tooltip are lines', async () => {
  const file = join(folder, 'lines.svg')
  await replay('data', '--policy', 'five.yaml', '--svg', file)
  expect(readFileSync(file, 'utf8')).not.toContain('\ufffd')
})

test('an override of the Xid table is part of the policy', async () => {
  writeFileSync(join(folder, 'xid.json'), '{ "gpu": { "xid": { "79": "record" } } }')
  const ran = await replay('data', '--policy', 'xid.json')
  expect([ran.code, ran.err]).toEqual([1, expect.stringContaining('xid cannot be asked')])
})

// What somebody gets who comes back, and what many get who come at once: the events that were missed, or a snapshot that says why.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Frame } from '../src/frame.ts'
import { Shelf } from '../src/shelf.ts'
import { FIRST, say, stage } from './session-stage.ts'

describe('resume', () => {
  const watch = { type: 'subscribe', topics: ['runners', 'decisions'] }

  test('the missed events, in order, without those that the filter leaves out', () => {
    const { book, join, happen } = stage()
    say(join(), { type: 'subscribe', topics: ['runners', 'decisions', 'nodes'] })
    const since = book.seq
    const first = happen('runners', 'a/b', { n: 1 })
    happen('nodes')
    happen('decisions', 'x/y')
    const last = happen('decisions', 'a/b', { n: 2 })
    const frames = say(join(), { ...watch, apps: ['a/b'], since })
    expect(frames).toEqual([
      {
        type: 'event',
        seq: first,
        topic: 'runners',
        at: '2026-01-01T00:00:00.000Z',
        data: { n: 1 },
      },
      {
        type: 'event',
        seq: last,
        topic: 'decisions',
        at: '2026-01-01T00:00:00.000Z',
        data: { n: 2 },
      },
    ])
  })

  test('nothing when nothing was missed', () => {
    const { book, join, happen } = stage()
    say(join(), watch)
    happen('runners')
    expect(say(join(), { ...watch, since: book.seq })).toEqual([])
  })

  const expired = [['snapshot', 'expired']]
  const missed = [
    ['event', undefined],
    ['event', undefined],
  ]
  test.for([
    ['older than what is kept', (seq: number) => seq - 4, expired],
    ['just older than what is kept', (seq: number) => seq - 3, expired],
    ['as old as what is kept', (seq: number) => seq - 2, missed],
    ['of a process before this one', () => 5, expired],
    ['zero', () => 0, expired],
    ['of the future', (seq: number) => seq + 1, expired],
  ] as const)('%s', ([, since, expected]) => {
    const { book, join, happen } = stage({ maxEvents: 2 })
    say(join(), watch)
    for (let i = 0; i < 5; i++) happen('runners')
    const frames = say(join(), { ...watch, since: since(book.seq) })
    expect(frames.map(({ type, because }) => [type, because])).toEqual(expected)
  })

  test('bytes bound what is kept, too', () => {
    const { book, join, happen } = stage({ maxBytes: 1000 })
    say(join(), watch)
    const since = book.seq
    for (let i = 0; i < 100; i++) happen('runners', null, { i })
    expect(book.kept.bytes).toBeLessThanOrEqual(1000)
    expect(book.kept.events).toBeGreaterThan(1)
    expect(say(join(), { ...watch, since })).toMatchObject([{ because: 'expired' }])
  })

  test('across a short time with nobody there', () => {
    const { time, book, join, happen } = stage()
    const gone = join()
    say(gone, watch)
    const since = book.seq
    gone.close()
    time.now = 59_999
    expect(book.wanted(0)).toBe(true)
    const seq = happen('runners')
    expect(say(join(), { ...watch, since })).toMatchObject([{ type: 'event', seq }])
  })

  test('not across a time in which nothing was written down', () => {
    const { time, book, join } = stage()
    const gone = join()
    say(gone, watch)
    const since = book.seq
    gone.close()
    time.now = 60_000
    expect(book.wanted(0)).toBe(false)
    expect(book.kept.events).toBe(0)
    expect(say(join(), { ...watch, since })).toMatchObject([{ because: 'expired' }])
  })

  test('not of a topic that was not written down while another was', () => {
    const { book, join, happen } = stage()
    say(join(), { type: 'subscribe', topics: ['runners'] })
    const since = book.seq
    happen('runners')
    const [frame] = say(join(), { type: 'subscribe', topics: ['runners', 'gpu'], since })
    expect(frame).toMatchObject({ type: 'snapshot', because: 'expired' })
  })

  test('a number is never given twice, and rises over every kind of gap', () => {
    const { time, book, join, happen } = stage()
    const seen = [FIRST]
    for (let round = 0; round < 3; round++) {
      const session = join()
      seen.push(Number(say(session, watch)[0]!['seq']))
      seen.push(happen('runners'))
      session.close()
      time.now += 60_000
      book.wanted(0)
    }
    expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => a - b))
  })
})

describe('many who come at once', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())
  const all = { type: 'subscribe', topics: ['runners', 'decisions'] }

  test('share one snapshot, each with the events since', () => {
    const { join, happen, asked } = stage()
    const [first] = say(join(), all)
    const seq = happen('runners')
    happen('nodes')
    for (let i = 0; i < 3; i++)
      expect(say(join(), { ...all, topics: ['decisions', 'runners'] })).toEqual([
        first,
        expect.objectContaining({ type: 'event', seq }),
      ])
    expect(asked).toEqual(['runners', 'decisions'])
  })

  test.for([
    ['other topics', { ...all, topics: ['runners'] }, 0],
    ['some apps only', { ...all, apps: ['a/b'] }, 0],
    ['a moment later', all, 1000],
  ] as const)('but not for %s', ([, message, later]) => {
    const { join, book } = stage()
    const session = join()
    say(session, all)
    book.seq += 5
    vi.advanceTimersByTime(later)
    expect(say(join(), message)).toMatchObject([{ type: 'snapshot', seq: book.seq }])
  })

  test('and not when the events since are no longer kept', () => {
    const { join, happen, book } = stage({ maxEvents: 2 })
    say(join(), all)
    for (let i = 0; i < 5; i++) happen('runners')
    expect(say(join(), all)).toMatchObject([{ type: 'snapshot', seq: book.seq }])
  })

  test('nine choices of topics keep eight snapshots', () => {
    const shelf = new Shelf(1000)
    const frames = Array.from({ length: 9 }, (_, i) => new Frame('{}', i))
    frames.forEach((frame, i) => shelf.put(String(i), frame))
    expect(frames.map((_, i) => shelf.find(String(i)) !== null)).toEqual([
      false,
      ...Array<boolean>(8).fill(true),
    ])
    vi.advanceTimersByTime(1000)
    expect(shelf.find('8')).toBeNull()
  })
})

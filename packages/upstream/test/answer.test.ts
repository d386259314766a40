// The reader of answers: every sample, whole, byte by byte and cut anywhere, comes to the same; what was generated is read as it was written.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AnswerReader, type Progress } from '../src/answer.ts'
import { samples, type Sample } from './sample.ts'

interface Read {
  progress: Progress
  status: number | null
  headers: readonly string[]
  body: string
  /** Bytes that were not part of the answer. */
  left: number
  atClose: boolean
}

/** Feeds pieces as a connection would; `stops`: the receiver asks to stop after each piece of data. */
function read(pieces: readonly Buffer[], method = 'GET', stops = false): Read {
  const seen: Read = {
    progress: 'more',
    status: null,
    headers: [],
    body: '',
    left: 0,
    atClose: false,
  }
  const reader = new AnswerReader({
    onHead(head) {
      seen.status = head.status
      seen.headers = head.headers
    },
    onData(chunk) {
      expect(chunk.length).toBeGreaterThan(0)
      seen.body += Buffer.from(chunk).toString('latin1')
      return !stops
    },
    onWhole(text) {
      expect(text.length).toBeGreaterThan(0)
      seen.body += text
      return !stops
    },
  })
  reader.begin(method === 'HEAD')
  for (const [at, piece] of pieces.entries()) {
    let rest = piece
    do {
      seen.progress = reader.feed(rest)
      rest = rest.subarray(reader.used)
    } while (seen.progress === 'stopped')
    if (seen.progress === 'more') continue
    seen.left = rest.length + pieces.slice(at + 1).reduce((sum, { length }) => sum + length, 0)
    break
  }
  seen.atClose = reader.endsWithConnection
  return seen
}

const bytesOf = ({ bytes, extra }: Sample): Buffer => Buffer.from(bytes + (extra ?? ''), 'latin1')
const singly = (bytes: Buffer): Buffer[] => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
const cutAt = (bytes: Buffer, at: number): Buffer[] => [bytes.subarray(0, at), bytes.subarray(at)]

const progressOf: Readonly<Record<Sample['expected'], Progress>> = {
  whole: 'whole',
  'at close': 'more',
  unfinished: 'more',
  incomplete: 'malformed',
  head_too_large: 'too_large',
}

const outcomeOf = (seen: Read): object => ({
  progress: seen.progress,
  atClose: seen.atClose,
  body: seen.body,
  status: seen.status,
  left: seen.left,
})

/** What a sample must come to; what it does not say is taken from what was seen. */
const wanted = (sample: Sample, seen: Read): object => ({
  progress: progressOf[sample.expected],
  atClose: sample.expected === 'at close',
  body: sample.body ?? seen.body,
  status: sample.expected === 'whole' ? (sample.status ?? 200) : seen.status,
  left: sample.expected === 'whole' ? (sample.extra?.length ?? 0) : seen.left,
})

describe.for(samples)('$expected: $name', (sample) => {
  const bytes = bytesOf(sample)
  const expectRead = (pieces: readonly Buffer[], stops = false): void => {
    const seen = read(pieces, sample.method, stops)
    expect(outcomeOf(seen)).toEqual(wanted(sample, seen))
  }
  test('in one piece', () => {
    expect.hasAssertions()
    expectRead([bytes])
  })
  test('byte by byte', () => {
    expect.hasAssertions()
    expectRead(singly(bytes))
  })
  test('stopped after each piece of data', () => {
    expect.hasAssertions()
    expectRead([bytes], true)
    expectRead(singly(bytes), true)
  })
  test('cut in two anywhere', () => {
    expect.hasAssertions()
    // Long ones are long in the middle of something: the ends are where the cases are.
    const next = (at: number): number => (at === 400 ? Math.max(401, bytes.length - 400) : at + 1)
    for (let at = 0; at <= bytes.length; at = next(at)) expectRead(cutAt(bytes, at))
  })
})

const seed = 20_261_121
const token = fc
  .stringMatching(/^[a-z][a-z0-9-]{0,12}$/)
  .filter(
    (name) => !['content-length', 'transfer-encoding', 'connection', 'keep-alive'].includes(name),
  )
const value = fc.stringMatching(/^[\x21-\x7e]([\x20-\x7e]{0,20}[\x21-\x7e])?$/)
const fields = fc.array(fc.tuple(token, value), { maxLength: 12 })
const lines = (list: readonly (readonly [string, string])[]): string =>
  list.map(([name, text]) => `${name}: ${text}\r\n`).join('')
const answer = fc.record({
  status: fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304),
  headers: fields,
  interim: fc.nat({ max: 3 }),
  chunks: fc.option(fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 })),
  body: fc.uint8Array({ maxLength: 1000 }),
  extension: fc.stringMatching(/^(;[a-z]{1,5}(=[a-z0-9]{1,5})?){0,3}$/),
  trailers: fields,
  cuts: fc.array(fc.nat(), { maxLength: 12 }),
})

function piecesOf(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b)
  return [0, ...at]
    .map((from, i) => bytes.subarray(from, at[i] ?? bytes.length))
    .filter(({ length }) => length > 0)
}

function written(one: typeof answer extends fc.Arbitrary<infer T> ? T : never): {
  bytes: Buffer
  body: string
} {
  const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
  const { chunks, extension } = one
  const body = chunks === null ? latin1(one.body) : chunks.map(latin1).join('')
  const framed =
    chunks === null
      ? body
      : `${chunks.map((chunk) => `${chunk.length.toString(16)}${extension}\r\n${latin1(chunk)}\r\n`).join('')}0${extension}\r\n${lines(one.trailers)}\r\n`
  const framing =
    chunks === null ? `Content-Length: ${body.length}\r\n` : 'Transfer-Encoding: chunked\r\n'
  const text = `${'HTTP/1.1 103 Early\r\n\r\n'.repeat(one.interim)}HTTP/1.1 ${one.status} x\r\n${lines(one.headers)}${framing}\r\n${framed}`
  return { bytes: Buffer.from(text, 'latin1'), body }
}

describe('generated answers', () => {
  test('are read as they were written, wherever they are cut', () => {
    fc.assert(
      fc.property(answer, fc.boolean(), (one, stops) => {
        const { bytes, body } = written(one)
        const seen = read(piecesOf(bytes, one.cuts), 'GET', stops)
        expect(seen).toMatchObject({ progress: 'whole', status: one.status, body, left: 0 })
        expect(seen.headers.slice(0, -2)).toEqual(one.headers.flat())
      }),
      { seed, numRuns: 500 },
    )
  })

  test('damaged in one byte, come to the same wherever they are cut', () => {
    const refused = (progress: Progress): string =>
      progress === 'malformed' || progress === 'too_large' ? 'refused' : progress
    fc.assert(
      fc.property(
        answer,
        fc.nat(),
        fc.constantFrom('\r', '\n', '\0', ' ', ':', ';', ',', '0', 'f', '\x7f', '\xff'),
        (one, where, char) => {
          const { bytes } = written(one)
          bytes.write(char, where % bytes.length, 'latin1')
          const whole = read([bytes])
          const cut = read(piecesOf(bytes, one.cuts))
          expect(refused(cut.progress)).toBe(refused(whole.progress))
          if (refused(whole.progress) === 'refused') return
          expect(cut).toEqual(whole)
        },
      ),
      { seed, numRuns: 1000 },
    )
  })

  test('bytes of chance never throw, and are no answer unless they begin like one', () => {
    expect.hasAssertions()
    const noise = fc
      .uint8Array({ minLength: 8, maxLength: 200 })
      .map((bytes) => Buffer.from(bytes))
      .filter((bytes) => !bytes.toString('latin1').startsWith('HTTP/1.'))
    fc.assert(
      fc.property(noise, (bytes) => {
        expect(read([bytes]).progress).toBe('malformed')
      }),
      { seed, numRuns: 500 },
    )
    const begun = fc
      .uint8Array({ maxLength: 200 })
      .map((bytes) => Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n'), bytes]))
    fc.assert(
      fc.property(begun, (bytes) => {
        expect(['more', 'whole', 'malformed']).toContain(read([bytes]).progress)
      }),
      { seed, numRuns: 500 },
    )
  })
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeLine, FactReader, type HealthEvent } from '../src/index.ts'

const encoder = new TextEncoder()

/** What a reader says of a line between two others; it stands behind it then. */
function readIn(line: string, reader = new FactReader()): HealthEvent | null {
  const before = 'rubbish\n'
  const bytes = encoder.encode(`${before}${line}${before}`)
  reader.open(bytes)
  const fact = reader.read(before.length)
  if (fact !== null && reader.end !== bytes.length - before.length)
    throw new Error(`it ends at ${reader.end}`)
  return fact
}

/** What a reader may say of a line: nothing, or what JSON.parse says. */
const parsed = (line: string, read: HealthEvent | null): string =>
  read === null ? 'null' : JSON.stringify(JSON.parse(line))

const passed =
  '{"seq":7,"at":120,"type":"probe.passed","runner":"app-1-1","incarnation":1,"probe":3,"kind":"regular","latencyMs":5}\n'
const withStatus = passed.replace('5}', '5,"status":200}')
const traffic =
  '{"seq":8,"at":0,"type":"traffic.counted","app":"demo/app","runners":["app-1-1","app-1-2"],"started":[1,0],"ended":[0,12],"served":[0,12],"inFlight":[1,0],"waiting":0,"queued":3}\n'
const noTraffic =
  '{"seq":8,"at":0,"type":"traffic.counted","app":"","runners":[],"started":[],"ended":[],"served":[],"inFlight":[],"waiting":1,"queued":0}\n'
const lines = [passed, withStatus, traffic, noTraffic]

test.for(lines)('%s is read as JSON.parse reads it, key for key', (line) => {
  expect(JSON.stringify(readIn(line))).toBe(line.trimEnd())
  expect(readIn(line)).toEqual(JSON.parse(line))
})

test.for([
  { what: 'an escape', line: passed.replace('app-1-1', 'app\\u002d1') },
  { what: 'a letter of two bytes', line: passed.replace('app-1-1', 'äpp-1') },
  { what: 'a long id', line: passed.replace('app-1-1', 'a'.repeat(65)) },
  { what: 'a fraction', line: passed.replace('120', '120.5') },
  { what: 'an exponent', line: passed.replace('120', '12e1') },
  { what: 'a leading zero', line: passed.replace('120', '012') },
  { what: 'a minus', line: passed.replace('120', '-120') },
  { what: 'more digits than are exact', line: passed.replace('120', '9007199254740993') },
  {
    what: 'another order',
    line: passed.replace('"probe":3,"kind":"regular"', '"kind":"regular","probe":3'),
  },
  { what: 'another kind', line: passed.replace('regular', 'port') },
  { what: 'a failure', line: passed.replace('probe.passed', 'probe.failed') },
  { what: 'one field more', line: passed.replace('5}', '5,"detail":"x"}') },
  { what: 'a blank', line: passed.replace(',"at"', ', "at"') },
  { what: 'a carriage return', line: passed.replace('\n', '\r\n') },
  { what: 'a list that is not closed', line: traffic.replace('[0,12]', '[0,12') },
  { what: 'a comma too many', line: traffic.replace('[0,12]', '[0,12,]') },
  { what: 'nothing', line: '\n' },
])('a line with $what is not said to be read', ({ line }) => {
  expect(readIn(line)).toBeNull()
})

test('the end of the bytes in any place is no fact, and nothing is read behind it', () => {
  for (const line of lines)
    for (let length = 0; length < line.length; length++) {
      const reader = new FactReader()
      // What lies behind in the same memory belongs to somebody else.
      reader.open(encoder.encode(line).subarray(0, length))
      expect(reader.read(0)).toBeNull()
    }
})

const count = fc.oneof(fc.nat(), fc.maxSafeNat())
const text = fc.string({ unit: 'binary', maxLength: 70 })
const fact = fc.oneof(
  fc.record(
    {
      seq: count,
      at: fc.oneof(count, fc.double({ min: 0, noNaN: true })),
      type: fc.constant('probe.passed'),
      runner: text,
      incarnation: count,
      probe: count,
      kind: fc.constantFrom('regular', 'manual'),
      latencyMs: count,
      status: count,
    },
    { requiredKeys: ['seq', 'at', 'type', 'runner', 'incarnation', 'probe', 'kind', 'latencyMs'] },
  ),
  fc.record({
    seq: count,
    at: count,
    type: fc.constant('traffic.counted'),
    app: text,
    runners: fc.array(text),
    started: fc.array(count),
    ended: fc.array(count),
    served: fc.array(count),
    inFlight: fc.array(count),
    waiting: count,
    queued: count,
  }),
)

test('whatever is read of any fact is what JSON.parse reads', () => {
  const reader = new FactReader()
  fc.assert(
    fc.property(fact, (event) => {
      const line = encodeLine(event as HealthEvent, event.seq)
      const read = readIn(line, reader)
      expect(JSON.stringify(read)).toBe(parsed(line, read))
    }),
  )
})

test('one character changed, dropped or put in: what is still read is what JSON.parse reads', () => {
  const reader = new FactReader()
  const character = fc.constantFrom(...'0129-.eE+ "\\,:{}[]aZ/\t\u007fé'.split(''))
  fc.assert(
    fc.property(
      fc.constantFrom(...lines),
      fc.nat(),
      fc.nat({ max: 1 }),
      fc.option(character, { nil: '' }),
      (line, place, dropped, put) => {
        const at = place % (line.length - 1)
        const other = line.slice(0, at) + put + line.slice(at + dropped)
        const read = readIn(other, reader)
        expect(JSON.stringify(read)).toBe(parsed(other, read))
      },
    ),
    { numRuns: 3_000 },
  )
})

// Whatever a client sends is read as a message or answered with a complaint; nothing throws, and nothing it says is repeated.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readMessage } from '../src/message.ts'
import { topics } from '../src/topic.ts'

const codes = ['bad_frame', 'unknown_type', 'unknown_topic', 'bad_since']
const frame = fc.record(
  {
    type: fc.oneof(fc.constantFrom('subscribe', 'unsubscribe', 'ping'), fc.jsonValue()),
    topics: fc.oneof(
      fc.array(fc.oneof(fc.constantFrom(...topics), fc.jsonValue()), { maxLength: 5 }),
      fc.jsonValue(),
    ),
    apps: fc.oneof(fc.array(fc.string(), { maxLength: 3 }), fc.jsonValue()),
    since: fc.oneof(fc.nat(), fc.double(), fc.jsonValue()),
  },
  { requiredKeys: [] },
)
const text = fc.oneof(
  frame.map((value) => JSON.stringify(value)),
  fc.json(),
  fc.string(),
  fc.constantFrom('{"__proto__":{"type":"ping"}}', '{"type":"toString"}', '\u0000', '"'.repeat(99)),
)

/** Whether what was read has one of the shapes that a session knows. */
function isWhole(sent: string): boolean {
  const read = readMessage(sent)
  switch (read.type) {
    case 'error':
      return codes.includes(read.code) && read.message.length < 200
    case 'ping':
      return true
    default:
      return (
        read.topics.length > 0 &&
        read.topics.every((topic) => topic in topics) &&
        new Set(read.topics).size === read.topics.length
      )
  }
}

test('every text is a message or a complaint', () => {
  expect(fc.check(fc.property(text, isWhole), { numRuns: 2000, seed: 7 }).failed).toBe(false)
})

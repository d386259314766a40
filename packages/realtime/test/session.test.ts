// The protocol as tables: frames of a client in, frames of the server out, without a socket.
import { describe, expect, test } from 'vitest'
import { readQuery } from '../src/event-stream.ts'
import { read, say, stage } from './session-stage.ts'
import { topicNumber } from '../src/topic.ts'

describe('a frame that is wrong is answered and changes nothing', () => {
  test.for([
    ['bad_frame', 'no JSON', 'hello'],
    ['bad_frame', 'nothing', ''],
    ['bad_frame', 'null', 'null'],
    ['bad_frame', 'a list', '[]'],
    ['bad_frame', 'a number', '7'],
    ['bad_frame', 'cut off', '{"type":"subscribe"'],
    ['unknown_type', 'no type', {}],
    ['unknown_type', 'another type', { type: 'publish' }],
    ['unknown_type', 'a name that every object has', { type: 'constructor' }],
    ['bad_frame', 'no topics', { type: 'subscribe' }],
    ['bad_frame', 'an empty list of topics', { type: 'subscribe', topics: [] }],
    ['bad_frame', 'topics that are no list', { type: 'subscribe', topics: 'runners' }],
    [
      'bad_frame',
      'a hundred and one topics',
      { type: 'subscribe', topics: Array(101).fill('gpu') },
    ],
    ['unknown_topic', 'a topic that is none', { type: 'subscribe', topics: ['runners', 'cats'] }],
    ['unknown_topic', 'a number as topic', { type: 'subscribe', topics: [1] }],
    ['unknown_topic', 'a topic to leave that is none', { type: 'unsubscribe', topics: ['cats'] }],
    ['bad_frame', 'apps that are no list', { type: 'subscribe', topics: ['gpu'], apps: 'a/b' }],
    ['bad_frame', 'a number as app', { type: 'subscribe', topics: ['gpu'], apps: [1] }],
    ['bad_frame', 'a long app', { type: 'subscribe', topics: ['gpu'], apps: ['a'.repeat(201)] }],
    [
      'bad_frame',
      'too many apps',
      { type: 'subscribe', topics: ['gpu'], apps: Array(1001).fill('') },
    ],
    ['bad_since', 'a text', { type: 'subscribe', topics: ['gpu'], since: '5' }],
    ['bad_since', 'a fraction', { type: 'subscribe', topics: ['gpu'], since: 1.5 }],
    ['bad_since', 'below zero', { type: 'subscribe', topics: ['gpu'], since: -1 }],
    ['bad_since', 'past what is exact', { type: 'subscribe', topics: ['gpu'], since: 2 ** 53 }],
  ] as const)('%s: %s', ([code, , message]) => {
    const { book, join } = stage()
    const session = join()
    expect(say(session, message)).toEqual([
      { type: 'error', code, message: expect.stringMatching(/\.$/) as string },
    ])
    expect(session.filter.mask).toBe(0)
    expect([0, 1, 2, 3, 4].some((topic) => book.wanted(topic))).toBe(false)
  })

  test('bad_frame: bytes', () => {
    expect(stage().join().receive(null).map(read)).toMatchObject([{ code: 'bad_frame' }])
  })
})

test('a ping is answered', () => {
  expect(say(stage().join(), { type: 'ping' })).toEqual([{ type: 'pong' }])
})

test('a subscription is answered with a snapshot of its topics, in their order, whatever order was asked', () => {
  const { book, join } = stage()
  const [snapshot] = say(join(), { type: 'subscribe', topics: ['gpu', 'runners'], apps: ['a/b'] })
  expect(snapshot).toEqual({
    type: 'snapshot',
    seq: book.seq,
    runners: [{ of: 'runners', apps: ['a/b'] }],
    gpu: [{ of: 'gpu', apps: ['a/b'] }],
  })
  expect(Object.keys(snapshot!)).toEqual(['type', 'seq', 'runners', 'gpu'])
})

describe('what passes', () => {
  test.for([
    ['its topic', [{ topics: ['runners'] }], 'runners', 'a/b', true],
    ['another topic', [{ topics: ['runners'] }], 'nodes', null, false],
    ['its app', [{ topics: ['runners'], apps: ['a/b'] }], 'runners', 'a/b', true],
    ['another app', [{ topics: ['runners'], apps: ['a/b'] }], 'runners', 'a/c', false],
    ['no app at all', [{ topics: ['nodes'], apps: ['a/b'] }], 'nodes', null, true],
    ['no apps wanted', [{ topics: ['runners'], apps: [] }], 'runners', 'a/b', false],
    [
      'apps of another topic',
      [{ topics: ['runners'], apps: ['a/b'] }, { topics: ['decisions'] }],
      'decisions',
      'x/y',
      true,
    ],
    [
      'the last word about a topic counts',
      [{ topics: ['runners'], apps: ['a/b'] }, { topics: ['runners'] }],
      'runners',
      'x/y',
      true,
    ],
    [
      'left',
      [{ topics: ['runners', 'nodes'] }, { type: 'unsubscribe', topics: ['runners'] }],
      'runners',
      'a/b',
      false,
    ],
    [
      'not left',
      [{ topics: ['runners', 'nodes'] }, { type: 'unsubscribe', topics: ['runners'] }],
      'nodes',
      null,
      true,
    ],
    ['all left', [{ topics: ['runners', 'nodes'] }, { type: 'unsubscribe' }], 'nodes', null, false],
    [
      'an app left',
      [
        { topics: ['runners'], apps: ['a/b', 'c/d'] },
        { type: 'unsubscribe', topics: ['runners'], apps: ['a/b'] },
      ],
      'runners',
      'a/b',
      false,
    ],
    [
      'an app kept',
      [
        { topics: ['runners'], apps: ['a/b', 'c/d'] },
        { type: 'unsubscribe', topics: ['runners'], apps: ['a/b'] },
      ],
      'runners',
      'c/d',
      true,
    ],
  ] as const)('%s', ([, messages, topic, app, passes]) => {
    const { book, join } = stage()
    const session = join()
    for (const message of messages) say(session, { type: 'subscribe', ...message })
    const number = topicNumber(topic)
    expect(session.takes(book.record(number, app, '', {}))).toBe(passes)
  })

  test('all apps cannot lose one of them, and the client is told so', () => {
    const session = stage().join()
    say(session, { type: 'subscribe', topics: ['runners'] })
    expect(say(session, { type: 'unsubscribe', topics: ['runners'], apps: ['a/b'] })).toMatchObject(
      [{ code: 'bad_frame' }],
    )
    expect(session.filter.has(0)).toBe(true)
  })
})

describe('one topic, many clients', () => {
  test('is wanted until the last of them has left it', () => {
    const { book, join, time } = stage()
    const [one, two] = [join(), join()]
    say(one, { type: 'subscribe', topics: ['gpu'] })
    say(two, { type: 'subscribe', topics: ['gpu'] })
    say(two, { type: 'subscribe', topics: ['gpu'], apps: ['a/b', 'c/d'] })
    one.close()
    say(two, { type: 'unsubscribe', topics: ['gpu'], apps: ['c/d'] })
    expect(book.followed(4)).toBe(true)
    say(two, { type: 'unsubscribe', topics: ['gpu'], apps: ['a/b'] })
    expect(book.followed(4)).toBe(false)
    two.close()
    time.now = 60_000
    expect(book.wanted(4)).toBe(false)
  })
})

test('a reader that was too slow gets one state of all it is subscribed to', () => {
  const session = stage().join()
  expect(session.refresh()).toEqual([])
  say(session, { type: 'subscribe', topics: ['gpu'], apps: ['a/b'] })
  say(session, { type: 'subscribe', topics: ['runners'] })
  expect(session.refresh().map(read)).toMatchObject([
    { because: 'behind', runners: [{ apps: 'all' }], gpu: [{ apps: ['a/b'] }] },
  ])
})

describe('the query of a stream', () => {
  test.for([
    ['nothing: everything', {}, { topics: [0, 1, 2, 3, 4], apps: null, since: null }],
    ['topics', { topics: 'gpu, runners' }, { topics: [4, 0] }],
    ['apps', { apps: 'a/b,c/d' }, { apps: new Set(['a/b', 'c/d']) }],
    ['since', { since: '12' }, { since: 12 }],
    ['the last id wins', { since: '12', lastEventId: '34' }, { since: 34 }],
    ['an empty last id is none', { since: '12', lastEventId: '' }, { since: 12 }],
    ['an unknown topic', { topics: 'cats' }, { code: 'unknown_topic' }],
    ['a since that is none', { since: 'x' }, { code: 'bad_since' }],
    ['a since past what is exact', { since: '9999999999999999' }, { code: 'bad_since' }],
  ] as const)('%s', ([, query, expected]) => {
    expect(readQuery(query)).toMatchObject(expected)
  })
})

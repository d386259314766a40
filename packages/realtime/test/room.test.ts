// Who sits where, on sinks that remember: nobody gets what it did not ask for, whoever comes and goes between.
import { Writable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Bundle } from '../src/bundle.ts'
import { Filter } from '../src/filter.ts'
import { Frame } from '../src/frame.ts'
import { type Guest, Rooms, type Seat } from '../src/room.ts'
import { topics } from '../src/topic.ts'

const MOST = 10

/** A socket that notes what it is given, and may have something waiting. */
class Sink extends Writable {
  readonly got: string[] = []
  /** A write that never ends: everything after it waits. */
  fill(bytes: number): void {
    super.write(Buffer.alloc(bytes))
  }
  override _write(): void {}
  override write(bytes: Buffer): boolean {
    this.got.push(bytes.toString('latin1'))
    return true
  }
}

class Reader implements Guest {
  readonly filter = new Filter()
  readonly sink = new Sink()
  readonly wire: Guest['wire']
  seat: Seat | null = null
  behind = false
  /** What it was asked about, because its sink was not to be used. */
  readonly asked: string[] = []

  constructor(transport: 'websocket' | 'stream' = 'websocket') {
    this.wire = {
      transport,
      sink: transport === 'stream' ? null : this.sink,
      backlog: 0,
      write: () => {},
      whenDrained: () => {},
      end: () => {},
    }
  }
  deliver(bytes: Buffer): void {
    this.asked.push(bytes.toString('latin1'))
  }
}

const kept = (topic: number, app: string | null, word: string) => ({
  seq: 1,
  topic,
  app,
  frame: new Frame(word, null),
})
const send = (rooms: Rooms, topic: number, app: string | null, word: string): void =>
  rooms.deliver(new Bundle([kept(topic, app, word)]))
const has = (list: readonly string[], word: string): boolean =>
  list.some((text) => text.includes(word))

test('one that keeps up is written to; one with too much waiting, or a stream, is asked', () => {
  const rooms = new Rooms(MOST)
  const [quick, slow, stream] = [new Reader(), new Reader(), new Reader('stream')]
  for (const reader of [quick, slow, stream]) {
    reader.filter.add([0], null)
    rooms.seat(reader, reader.filter)
  }
  slow.sink.fill(MOST + 1)
  send(rooms, 0, 'a', 'hello')
  expect([quick.sink.got.length, quick.asked.length]).toEqual([1, 0])
  expect([slow.sink.got.length, slow.asked.length]).toEqual([0, 1])
  expect(has(stream.asked, 'data: hello')).toBe(true)
})

test('one that is behind is asked until it caught up, whatever waits at its sink', () => {
  const rooms = new Rooms(MOST)
  const reader = new Reader()
  reader.filter.add([0], null)
  rooms.seat(reader, reader.filter)
  reader.behind = true
  rooms.turned(reader)
  send(rooms, 0, null, 'one')
  reader.behind = false
  rooms.turned(reader)
  send(rooms, 0, null, 'two')
  expect(has(reader.sink.got, 'one')).toBe(false)
  expect(has(reader.sink.got, 'two')).toBe(true)
})

test('whatever order they come, change their minds and go in, each gets exactly what its filter takes', () => {
  const number = fc.integer({ min: 0, max: topics.length - 1 })
  const app = fc.constantFrom('a', 'b', 'c')
  const act = fc.record({
    who: fc.integer({ min: 0, max: 5 }),
    does: fc.constantFrom('add', 'remove', 'leave', 'turn', 'send', 'send'),
    topic: number,
    apps: fc.option(fc.uniqueArray(app, { minLength: 1 })),
    app: fc.option(app),
  })
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60, size: 'max' }), (acts) => {
      const rooms = new Rooms(MOST)
      const readers = Array.from({ length: 6 }, () => new Reader())
      const gone = new Set<Reader>()
      const wanted = new Map(
        readers.map((each) => [each, { got: [] as string[], asked: [] as string[] }]),
      )
      acts.forEach(({ who, does, topic, apps, app: of }, i) => {
        const reader = readers[who]!
        const word = `<${i}>`
        if (does === 'send') {
          for (const each of readers)
            if (!gone.has(each) && each.filter.takes(topic, of))
              wanted.get(each)![each.behind ? 'asked' : 'got'].push(word)
          return send(rooms, topic, of, word)
        }
        if (gone.has(reader)) return
        if (does === 'leave') {
          gone.add(reader)
          return rooms.leave(reader)
        }
        if (does === 'turn') {
          reader.behind = !reader.behind
          return rooms.turned(reader)
        }
        const list = apps === null ? null : new Set(apps)
        if (does === 'add') reader.filter.add([topic], list)
        else reader.filter.remove([topic], list)
        rooms.seat(reader, reader.filter)
      })
      const words = (list: readonly string[]): string[] => list.map((text) => text.slice(2))
      for (const [reader, { got, asked }] of wanted)
        expect([words(reader.sink.got), words(reader.asked)]).toEqual([got, asked])
    }),
  )
})

/**
 * Who gets the same: readers of one transport that want the same topics of all apps sit in one room, a reader that wants some apps only
 * has a room of its own. What an event is for them is then decided once for a room. A delivery to a reader that keeps up touches its socket and
 * nothing else of it: with thousands of them, what else is read from memory costs as much as all other work of ours.
 */
import type { Writable } from 'node:stream'
import type { Bundle } from './bundle.ts'
import { Filter } from './filter.ts'
import type { Transport } from './frame.ts'
import type { Wire } from './subscriber.ts'

/** A reader that can be seated. */
export interface Guest {
  readonly wire: Wire
  /** True while events are left out for it. */
  readonly behind: boolean
  deliver(bytes: Buffer): void
  /** Where it sits; null before and after. The rooms keep it. */
  seat: Seat | null
}

/** A place in a room. */
export interface Seat {
  readonly room: Room
  index: number
}

interface Room {
  readonly filter: Filter
  readonly transport: Transport
  /** Null for a room of one. */
  readonly key: string | null
  readonly guests: Guest[]
  /** By the same index: where bytes go without asking the guest; null: it must be asked. */
  readonly sinks: (Writable | null)[]
}

/** All rooms of a channel. */
export class Rooms {
  readonly #rooms = new Set<Room>()
  readonly #shared = new Map<string, Room>()
  readonly #maxBacklog: number

  /** `maxBacklog`: bytes that may wait at a sink before its guest is asked. */
  constructor(maxBacklog: number) {
    this.#maxBacklog = maxBacklog
  }

  /** Gives a reader the place that its filter asks for; call it after each change of the filter. */
  seat(guest: Guest, filter: Filter): void {
    if (filter.mask === 0) return this.leave(guest)
    const { transport } = guest.wire
    const key = filter.plain ? `${transport} ${filter.mask}` : null
    const { seat } = guest
    // A room of one knows its filter as it changes.
    if (seat !== null && seat.room.key === key) return
    this.leave(guest)
    const room = this.#find(key) ?? this.#open(key, transport, filter)
    guest.seat = { room, index: room.guests.push(guest) - 1 }
    room.sinks.push(sinkOf(guest))
  }

  /** It fell behind, or caught up. */
  turned(guest: Guest): void {
    if (guest.seat !== null) guest.seat.room.sinks[guest.seat.index] = sinkOf(guest)
  }

  /** It is gone, or wants nothing. */
  leave(guest: Guest): void {
    const { seat } = guest
    if (seat === null) return
    guest.seat = null
    const { room, index } = seat
    const last = room.guests.pop()!
    const sink = room.sinks.pop()!
    if (last !== guest) {
      room.guests[index] = last
      room.sinks[index] = sink
      last.seat!.index = index
    }
    if (room.guests.length > 0) return
    this.#rooms.delete(room)
    if (room.key !== null) this.#shared.delete(room.key)
  }

  /** Writes to all what they take. */
  deliver(bundle: Bundle): void {
    const most = this.#maxBacklog
    for (const { filter, transport, guests, sinks } of this.#rooms) {
      const bytes = bundle.for(filter, transport)
      if (bytes === null) continue
      // From the end: whoever leaves meanwhile is replaced by one that has had it.
      for (let i = sinks.length - 1; i >= 0; i--) {
        const sink = sinks[i]!
        if (sink !== null && sink.writableLength <= most) sink.write(bytes)
        else guests[i]!.deliver(bytes)
      }
    }
  }

  #find(key: string | null): Room | undefined {
    return key === null ? undefined : this.#shared.get(key)
  }

  #open(key: string | null, transport: Transport, wanted: Filter): Room {
    let filter = wanted
    if (key !== null) {
      // Its own: the one of the first guest may change while others stay.
      filter = new Filter()
      filter.add(wanted.topics, null)
    }
    const room: Room = { filter, transport, key, guests: [], sinks: [] }
    this.#rooms.add(room)
    if (key !== null) this.#shared.set(key, room)
    return room
  }
}

const sinkOf = ({ behind, wire }: Guest): Writable | null => (behind ? null : wire.sink)

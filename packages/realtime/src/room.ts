/**
 * Who gets the same: readers of one transport that want the same topics of all apps sit in one room, a reader that wants some apps only
 * has a room of its own. What an event is for them is then decided once for a room, and a delivery touches the reader and nothing else.
 */
import type { Bundle } from './bundle.ts'
import { Filter } from './filter.ts'
import type { Transport } from './frame.ts'
import type { Subscriber } from './subscriber.ts'

/** A reader that can be seated. */
export interface Guest extends Pick<Subscriber, 'deliver' | 'wire'> {
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
}

/** All rooms of a channel. */
export class Rooms {
  readonly #rooms = new Set<Room>()
  readonly #shared = new Map<string, Room>()

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
  }

  /** It is gone, or wants nothing. */
  leave(guest: Guest): void {
    const { seat } = guest
    if (seat === null) return
    guest.seat = null
    const { room, index } = seat
    const last = room.guests.pop()!
    if (last !== guest) {
      room.guests[index] = last
      last.seat!.index = index
    }
    if (room.guests.length > 0) return
    this.#rooms.delete(room)
    if (room.key !== null) this.#shared.delete(room.key)
  }

  /** Writes to all what they take. */
  deliver(bundle: Bundle): void {
    for (const { filter, transport, guests } of this.#rooms) {
      const bytes = bundle.for(filter, transport)
      if (bytes === null) continue
      // From the end: whoever leaves meanwhile is replaced by one that has had it.
      for (let i = guests.length - 1; i >= 0; i--) guests[i]!.deliver(bytes)
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
    const room = { filter, transport, key, guests: [] }
    this.#rooms.add(room)
    if (key !== null) this.#shared.set(key, room)
    return room
  }
}

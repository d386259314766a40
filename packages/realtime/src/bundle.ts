/** Events of one turn: each choice of them is put together once, however many subscribers make it. It writes to nobody. */
import type { Filter } from './filter.ts'
import type { Transport } from './frame.ts'
import type { Kept } from './ring.ts'

/** Events that share one write at most: their choice fits the bits of a number. */
export const BUNDLE_EVENTS = 30

/** At most {@link BUNDLE_EVENTS} events, in order. */
export class Bundle {
  readonly #events: readonly Kept[]
  readonly #choices: Record<Transport, Map<number, Buffer>> = {
    websocket: new Map(),
    stream: new Map(),
  }

  constructor(events: readonly Kept[]) {
    this.#events = events
  }

  /** The bytes for those who want this; null when they take none of them. */
  for(filter: Filter, transport: Transport): Buffer | null {
    const events = this.#events
    let choice = 0
    for (let i = 0; i < events.length; i++) {
      const { topic, app } = events[i]!
      if (filter.takes(topic, app)) choice |= 1 << i
    }
    if (choice === 0) return null
    if (events.length === 1) return events[0]!.frame.on(transport)
    const made = this.#choices[transport].get(choice)
    if (made !== undefined) return made
    const bytes = Buffer.concat(
      events.filter((_, i) => (choice & (1 << i)) !== 0).map(({ frame }) => frame.on(transport)),
    )
    this.#choices[transport].set(choice, bytes)
    return bytes
  }
}

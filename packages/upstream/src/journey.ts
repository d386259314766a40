/**
 * A request on its way: from the moment it is to be sent, over the connection that carries it, to the end of its answer. It knows
 * which connection that is, and chooses none.
 */
import type { RequestHead } from './request-head.ts'
import type { Flight, Outgoing, Receiver } from './route.ts'

/** What carries a request. */
export interface Carrier {
  /** Passes on what was held back, and what comes. */
  resume(): void
  /** Cuts it; the receiver hears nothing. */
  cut(): void
}

/** One request; its sender's end of it. */
export class Journey implements Flight {
  readonly head: RequestHead
  readonly request: Outgoing
  readonly receiver: Receiver
  /** Null before one was chosen, and after the end. */
  carrier: Carrier | null = null
  /** Its sender wants no answer any more. */
  aborted = false

  constructor(head: RequestHead, request: Outgoing, receiver: Receiver) {
    this.head = head
    this.request = request
    this.receiver = receiver
  }

  resume(): void {
    this.carrier?.resume()
  }

  abort(): void {
    this.aborted = true
    this.carrier?.cut()
  }
}

/**
 * The record of why an order was or was not given: one for every change of state and every verdict that was not enforced,
 * never for a routine probe or a placement. It is derived: losing it costs a replay.
 */

/** One comparison that was looked at on the way to the verdict, refused ones included. */
export interface Compared {
  /** What was read: `age`, `failures`, `out`. */
  readonly name: string
  readonly value: number
  readonly op: '<' | '<=' | '>' | '>='
  /** In the unit of `value` (ms for times). */
  readonly threshold: number
  /** The option the threshold comes from, by its name in the configuration; null for a fixed limit. */
  readonly option: string | null
}

/** Who or what a decision is about. */
export interface Subject {
  readonly kind: 'runner' | 'request' | 'node'
  readonly id: string
  /** Life of a runner; attempt of a request; 0 for a node. */
  readonly incarnation: number
}

/** Why an order was or was not given. */
export interface Decision {
  /** Counts decisions, from 1. */
  readonly seq: number
  readonly at: number
  readonly subject: Subject
  /** Configuration word before and after. */
  readonly from: string
  readonly to: string
  readonly rule: string
  readonly compared: readonly Compared[]
  /** False when the verdict was recorded and not carried out. */
  readonly enforced: boolean
  /** The guard or rule that withheld it; null when enforced. */
  readonly because: string | null
  /** Ids of the orders it gave. */
  readonly commands: readonly string[]
  /** Journal numbers it rests on, the judged one last. */
  readonly events: readonly number[]
}

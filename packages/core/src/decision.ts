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

/**
 * A runner as a subject. A class, like {@link RunnerDecision}: what an object literal makes is put where long-lived things are as
 * soon as its first thousands lived long, and those of a burst of starts do; collecting the rest from there costs a tenth of all steps.
 */
export class RunnerSubject implements Subject {
  readonly kind = 'runner'
  readonly id: string
  readonly incarnation: number

  constructor(id: string, incarnation: number) {
    this.id = id
    this.incarnation = incarnation
  }
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

/** The decision about a runner; numbered when it is kept. */
export class RunnerDecision implements Decision {
  seq = 0
  readonly at: number
  readonly subject: Subject
  readonly from: string
  readonly to: string
  readonly rule: string
  readonly compared: readonly Compared[]
  readonly enforced: boolean
  readonly because: string | null
  readonly commands: readonly string[]
  readonly events: readonly number[]

  constructor(
    at: number,
    subject: Subject,
    from: string,
    to: string,
    rule: string,
    compared: readonly Compared[],
    enforced: boolean,
    because: string | null,
    commands: readonly string[],
    events: readonly number[],
  ) {
    this.at = at
    this.subject = subject
    this.from = from
    this.to = to
    this.rule = rule
    this.compared = compared
    this.enforced = enforced
    this.because = because
    this.commands = commands
    this.events = events
  }
}

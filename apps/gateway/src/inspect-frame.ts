/**
 * The frames of `@statelyai/inspect`, written by ourselves: an actor, an event, a snapshot, as its own client sends them. They are made only
 * for machines that somebody looks at; nothing here runs a machine.
 */
import { compile, nodeMachine, requestMachine, runnerMachine, type HealthEvent } from '@health/core'

/** What can be inspected. */
export const kinds = ['runner', 'request', 'node'] as const
/** One of {@link kinds}. */
export type Kind = (typeof kinds)[number]

/** A machine as it stands: what the chart and the data of it are. */
export interface Stand {
  readonly kind: Kind
  readonly id: string
  /** Configuration of the chart, as XState writes it. */
  readonly value: unknown
  readonly context: Readonly<Record<string, unknown>>
  /** True when it will not change any more. */
  readonly done: boolean
}

/** An event as it is shown: the fact that led here, and the rule that spoke. */
export interface ShownEvent {
  readonly type: string
  readonly [field: string]: unknown
}

/** Version of the protocol that the frames follow. */
const VERSION = '0.7.2'
const machines = { runner: runnerMachine, request: requestMachine, node: nodeMachine } as const
const definitions = new Map<Kind, string>()
const tables = new Map<Kind, ReturnType<typeof compile>>()

/** The session id of a machine. */
export const sessionOf = (kind: Kind, id: string): string => `${kind}/${id}`

/** The definition of a chart as JSON text, its states in the order in which they are written. */
export function definitionOf(kind: Kind): string {
  let text = definitions.get(kind)
  if (text === undefined) definitions.set(kind, (text = JSON.stringify(machines[kind].config)))
  return text
}

/** The configuration that a word stands for; null for a word that the chart does not have. */
export function valueOf(kind: Kind, word: string): unknown {
  let table = tables.get(kind)
  if (table === undefined) tables.set(kind, (table = compile(machines[kind]) as never))
  // People read idle and busy; the chart knows one state for both.
  const plain = word.replace(/^(?:idle|busy)/, 'ready')
  const found =
    table!.configurations.find((each) => each.word === plain) ??
    table!.configurations.find((each) => each.meta['state'] === plain)
  return found?.value ?? null
}

/** The frame that introduces a machine. `at`: Unix ms. */
export function actorFrame(stand: Stand, at: number): string {
  const session = sessionOf(stand.kind, stand.id)
  return JSON.stringify({
    type: '@xstate.actor',
    _version: VERSION,
    createdAt: String(at),
    id: null,
    rootId: session,
    sessionId: session,
    name: stand.id,
    definition: definitionOf(stand.kind),
    snapshot: snapshotOf(stand),
  })
}

/** The frame of an event that a machine got. */
export function eventFrame(stand: Stand, event: ShownEvent, at: number): string {
  const session = sessionOf(stand.kind, stand.id)
  return JSON.stringify({
    type: '@xstate.event',
    _version: VERSION,
    createdAt: String(at),
    id: null,
    rootId: session,
    sessionId: session,
    event,
  })
}

/** The frame of what a machine is after an event. */
export function snapshotFrame(stand: Stand, event: ShownEvent, at: number): string {
  const session = sessionOf(stand.kind, stand.id)
  return JSON.stringify({
    type: '@xstate.snapshot',
    _version: VERSION,
    createdAt: String(at),
    id: null,
    rootId: session,
    sessionId: session,
    event,
    snapshot: snapshotOf(stand),
  })
}

const snapshotOf = ({ value, context, done }: Stand): Record<string, unknown> => ({
  status: done ? 'done' : 'active',
  value,
  context,
  children: {},
  historyValue: {},
  tags: [],
})

const MOST_ITEMS = 20
const MOST_TEXT = 200

/** A fact as it may be shown: without the queue's private record, texts and lists cut short. */
export function factOf(event: HealthEvent): ShownEvent {
  const shown: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(event)) {
    if (name === 'at' || name === 'record' || name === 'options' || name === 'policy') continue
    shown[name] =
      typeof value === 'string'
        ? value.slice(0, MOST_TEXT)
        : Array.isArray(value)
          ? value.slice(0, MOST_ITEMS)
          : value
  }
  return { ...shown, type: event.type }
}

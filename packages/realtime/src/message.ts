/**
 * Reads what a client sends: a message, or a complaint with a code of the protocol. It never throws and never closes: how often a
 * client may be wrong is not decided here.
 */
import { topicNumber, topics } from './topic.ts'

/** What a client may ask. Topics are numbers, in the order asked for. */
export type Message =
  | {
      readonly type: 'subscribe'
      readonly topics: readonly number[]
      /** Null: every app. */
      readonly apps: ReadonlySet<string> | null
      /** Null: a snapshot is wanted. */
      readonly since: number | null
    }
  | {
      readonly type: 'unsubscribe'
      readonly topics: readonly number[]
      /** Null: the topics as a whole. */
      readonly apps: ReadonlySet<string> | null
    }
  | { readonly type: 'ping' }

/** What is wrong with a frame; sent to the client as it is. */
export interface Complaint {
  readonly type: 'error'
  readonly code: 'bad_frame' | 'unknown_type' | 'unknown_topic' | 'bad_since'
  readonly message: string
}

/** Most apps that one message may name. */
const MAX_APPS = 1000
/** Longest name of an app, in characters. */
const MAX_NAME = 200

/** Makes a complaint. */
export const complain = (code: Complaint['code'], message: string): Complaint => ({
  type: 'error',
  code,
  message,
})

/** Reads one text frame; null stands for a binary one. */
export function readMessage(text: string | null): Message | Complaint {
  if (text === null) return complain('bad_frame', 'A frame must be text with one JSON object.')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return complain('bad_frame', 'A frame must be one JSON object.')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return complain('bad_frame', 'A frame must be one JSON object.')
  const frame = value as Readonly<Record<string, unknown>>
  switch (frame['type']) {
    case 'ping':
      return { type: 'ping' }
    case 'subscribe':
      return readSubscription(frame['topics'], frame['apps'], frame['since'])
    case 'unsubscribe':
      return readUnsubscription(frame['topics'], frame['apps'])
    default:
      return complain('unknown_type', 'type must be subscribe, unsubscribe or ping.')
  }
}

/** The parts of a subscription, from a frame or from a query. */
export function readSubscription(
  topicList: unknown,
  appList: unknown,
  sinceValue: unknown,
): Extract<Message, { type: 'subscribe' }> | Complaint {
  const chosen = readTopics(topicList)
  if ('code' in chosen) return chosen
  const apps = readApps(appList)
  if (apps !== null && 'code' in apps) return apps
  if (sinceValue === undefined || sinceValue === null)
    return { type: 'subscribe', topics: chosen, apps, since: null }
  if (!Number.isSafeInteger(sinceValue) || (sinceValue as number) < 0)
    return complain('bad_since', 'since must be the seq of a snapshot or an event.')
  return { type: 'subscribe', topics: chosen, apps, since: sinceValue as number }
}

function readUnsubscription(topicList: unknown, appList: unknown): Message | Complaint {
  const chosen = topicList === undefined ? topics.map((_, number) => number) : readTopics(topicList)
  if ('code' in chosen) return chosen
  const apps = readApps(appList)
  if (apps !== null && 'code' in apps) return apps
  return { type: 'unsubscribe', topics: chosen, apps }
}

function readTopics(list: unknown): readonly number[] | Complaint {
  if (!Array.isArray(list) || list.length === 0 || list.length > 100)
    return complain('bad_frame', `topics must be a list of ${topics.join(', ')}.`)
  const numbers = new Set<number>()
  for (const word of list as readonly unknown[]) {
    const number = typeof word === 'string' ? topicNumber(word) : -1
    if (number < 0)
      return complain(
        'unknown_topic',
        `There is no such topic; the topics are ${topics.join(', ')}.`,
      )
    numbers.add(number)
  }
  return [...numbers]
}

function readApps(list: unknown): ReadonlySet<string> | null | Complaint {
  if (list === undefined || list === null) return null
  if (
    !Array.isArray(list) ||
    list.length > MAX_APPS ||
    list.some((app) => typeof app !== 'string' || app.length > MAX_NAME)
  )
    return complain('bad_frame', `apps must be a list of at most ${MAX_APPS} names of apps.`)
  return new Set(list as readonly string[])
}

/**
 * Which headers travel between caller and runner, both ways: hop-by-hop ones and our own control words stay here. Flat lists
 * (name, value, name, value …) throughout, as node reads and writes them; nothing is parsed twice.
 */
import { readOutcomeHeaders, type OutcomeHeaders } from '@health/core'

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
const keptFromRunner = new Set([
  ...hopByHop,
  'host',
  'expect',
  'x-fal-target-url',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-fal-request-id',
])
const keptFromCaller = new Set([
  ...hopByHop,
  'x-fal-stop-runner',
  'x-fal-needs-retry',
  'x-fal-runner-health-check',
  'x-fal-request-id',
  'x-fal-served-from',
])

/** Headers that browsers may read. */
export const EXPOSED =
  'x-fal-request-id, x-fal-request-timeout-type, x-fal-error-type, x-fal-served-from'

/** The headers that a `Connection` names, besides its own words, and those of its lines `before`; null when there are none, which is the usual case. */
function named(connection: string, before: ReadonlySet<string> | null): ReadonlySet<string> | null {
  if (connection === 'keep-alive' || connection === 'close') return before
  const words = connection
    .toLowerCase()
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== 'keep-alive' && word !== 'close' && word !== '')
  return words.length === 0 ? before : new Set([...(before ?? []), ...words])
}

/** What is known of a header's name. */
interface Name {
  readonly lower: string
  readonly toRunner: boolean
  readonly toCaller: boolean
  /** Something is read from it, on the way from a runner. */
  readonly said: boolean
}

const saying = new Set([
  'connection',
  'content-length',
  'content-type',
  'retry-after',
  'x-fal-needs-retry',
  'x-fal-runner-health-check',
  'x-fal-runner-hints',
  'x-fal-stop-runner',
])

/** Few names are ever seen: each is looked at once, up to this many of at most so many characters. */
const KNOWN_NAMES = 1024
const KNOWN_LENGTH = 64
const names = new Map<string, Name>()

function nameOf(raw: string): Name {
  const known = names.get(raw)
  if (known !== undefined) return known
  const lower = raw.toLowerCase()
  const name = {
    lower,
    toRunner: !keptFromRunner.has(lower),
    toCaller: !keptFromCaller.has(lower),
    said: saying.has(lower),
  }
  // A copy: what was cut out of a head would keep all of it.
  if (names.size < KNOWN_NAMES && raw.length <= KNOWN_LENGTH)
    names.set(Buffer.from(raw, 'latin1').toString('latin1'), name)
  return name
}

/** Takes what a `Connection` named out of a list. */
function without(list: string[], drop: ReadonlySet<string> | null): void {
  if (drop === null) return
  for (let i = list.length - 2; i >= 0; i -= 2) if (drop.has(list[i]!)) list.splice(i, 2)
}

/** What a call says of its way here. */
export interface Forwarded {
  readonly id: string
  readonly address: string
  readonly proto: string
  readonly host: string
  /** True when `Authorization` was one of our keys: it goes no further. */
  readonly ours: boolean
}

/** The head for a runner, from a caller's raw head. */
export function forwardHead(raw: readonly string[], from: Forwarded): string[] {
  const out: string[] = []
  let drop: ReadonlySet<string> | null = null
  for (let i = 0; i < raw.length; i += 2) {
    const { lower, toRunner } = nameOf(raw[i]!)
    if (toRunner) {
      if (!from.ours || lower !== 'authorization') out.push(lower, raw[i + 1]!)
    } else if (lower === 'connection') drop = named(raw[i + 1]!, drop)
  }
  without(out, drop)
  out.push(
    'x-forwarded-for',
    from.address,
    'x-forwarded-proto',
    from.proto,
    'x-forwarded-host',
    from.host,
    'x-fal-request-id',
    from.id,
  )
  return out
}

/** What a runner's head says to us. */
export interface RunnerHead {
  /** Headers for the caller; ours are not in it yet. */
  readonly forward: string[]
  /** Control headers; undefined when there is none, which is the usual case. */
  readonly outcome: OutcomeHeaders | undefined
  /** `x-fal-runner-hints`, split; null when absent. */
  readonly hints: readonly string[] | null
  /** True for an event stream: its headers are judged when they arrive. */
  readonly stream: boolean
  /** Bytes of the body as announced; -1 when nothing is. */
  readonly length: number
}

const hintsIn = (list: string): readonly string[] =>
  list
    .split(',')
    .map((hint) => hint.trim())
    .filter((hint) => hint !== '')

/** The name of a media type has no case. */
const eventStream = /^text\/event-stream[\t ]*(?:;|$)/i

/** Reads a runner's raw head. */
export function readRunnerHead(raw: readonly string[]): RunnerHead {
  const forward: string[] = []
  let control: Map<string, string> | null = null
  let hints: readonly string[] | null = null
  let drop: ReadonlySet<string> | null = null
  let stream = false
  let length = -1
  for (let i = 0; i < raw.length; i += 2) {
    const { lower, toCaller, said } = nameOf(raw[i]!)
    const value = raw[i + 1]!
    if (toCaller) forward.push(lower, value)
    if (!said) continue
    switch (lower) {
      case 'connection':
        drop = named(value, drop)
        break
      case 'x-fal-runner-hints':
        // Several lines of one name are one list: so `setHeader` of node writes an array.
        hints = [...(hints ?? []), ...hintsIn(value)]
        break
      case 'content-type':
        stream = eventStream.test(value)
        break
      case 'content-length':
        length = Number(value)
        break
      default:
        control ??= new Map()
        control.set(lower, value)
    }
  }
  without(forward, drop)
  const words = control
  return {
    forward,
    hints,
    stream,
    length,
    outcome: words === null ? undefined : readOutcomeHeaders((name) => words.get(name)),
  }
}

/** The head of an answer of our own. */
export function answerHead(
  requestId: string,
  contentType: string,
  length: number,
  cors: readonly string[],
): string[] {
  return [
    'x-fal-request-id',
    requestId,
    'content-type',
    contentType,
    'content-length',
    String(length),
    ...cors,
  ]
}

/** The headers that let a browser's page read an answer; none for a call without `Origin`. */
export function corsHead(origin: string | undefined): readonly string[] {
  return origin === undefined
    ? NO_CORS
    : ['access-control-allow-origin', '*', 'access-control-expose-headers', EXPOSED]
}
const NO_CORS: readonly string[] = []

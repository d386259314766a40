/**
 * The gateway's log: one line for each decision, alert and change of its own state, in the words of the journal and the metrics. JSON for
 * machines, pretty for a terminal. A reader that stalls and a disk that is full lose
 * lines, which are counted, and never hold the gateway up.
 */
import { styleText } from 'node:util'
import type { Decision, Observation } from '@health/core'
import type { Log } from './gateway.ts'

/** Where lines go and how they look. */
export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly format: 'json' | 'pretty'
  /** Colours in the pretty format. */
  readonly colour: boolean
  /** False when it could not be written: the line is lost, and counted. */
  write(text: string): boolean
  /** Bytes that were written and not yet taken. */
  waiting(): number
  /** Unix ms. */
  now(): number
}

const ranks = { debug: 0, info: 1, warn: 2, error: 3 } as const
const colours = { debug: 'dim', info: 'green', warn: 'yellow', error: 'red' } as const
/** Past this many bytes that nobody takes, lines are dropped. */
const MAX_WAITING = 4 * 1024 * 1024
const MAX_LINE = 16_384

/** The log as a function of one line. */
export function createLog(options: LogOptions): Log {
  let dropped = 0
  const write = (line: Parameters<Log>[0]): boolean => {
    const { level, event, ...fields } = line
    const time = new Date(options.now()).toISOString()
    const text =
      options.format === 'json'
        ? JSON.stringify({ time, level, event, ...fields })
        : pretty(time, level, event, fields, options.colour)
    return options.write(`${text.length > MAX_LINE ? shorten(line, time) : text}\n`)
  }
  return (line) => {
    if (ranks[line.level] < ranks[options.level]) return
    if (options.waiting() > MAX_WAITING) {
      dropped++
      return
    }
    if (dropped > 0 && write({ level: 'warn', event: 'log.dropped', lines: dropped })) dropped = 0
    if (dropped > 0 || !write(line)) dropped++
  }
}

/** A line past the limit keeps what identifies it. */
const shorten = (line: Parameters<Log>[0], time: string): string =>
  JSON.stringify({ time, level: line.level, event: line.event, cut: true })

function pretty(
  time: string,
  level: keyof typeof ranks,
  event: string,
  fields: Readonly<Record<string, unknown>>,
  colour: boolean,
): string {
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    colour ? styleText(style, text, { validateStream: false }) : text
  const words = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(
      ([name, value]) =>
        `${paint('dim', `${name}=`)}${typeof value === 'string' && /^[\w./:→+-]+$/.test(value) ? value : JSON.stringify(value)}`,
    )
  return [
    paint('dim', time.slice(11, 23)),
    paint(colours[level], level.padEnd(5)),
    paint('bold', event),
    ...words,
  ].join(' ')
}

/**
 * The line of a decision: what changed, by which rule, and the values that were compared. `appOf` says which app a runner belongs to.
 * Request and node are those of the event, if that is what was judged: a deadline acts in the step of whatever comes next.
 */
export function decisionLine(
  decision: Decision,
  { event }: Pick<Observation, 'event'>,
  appOf: (runner: string) => string | null,
): Parameters<Log>[0] {
  const { subject, compared } = decision
  const judged = event.seq !== undefined && decision.events.includes(event.seq)
  const other = (judged ? event : {}) as {
    readonly runner?: unknown
    readonly request?: unknown
    readonly app?: unknown
    readonly node?: unknown
  }
  const text = (value: unknown): string | undefined =>
    typeof value === 'string' ? value : undefined
  const named = (kind: Decision['subject']['kind'], value: unknown): string | undefined =>
    subject.kind === kind ? subject.id : text(value)
  return {
    // A verdict that was withheld is what an operator wants to see first.
    level: decision.enforced ? 'info' : 'warn',
    event: 'decision',
    seq: decision.seq,
    rule: decision.rule,
    from: decision.from,
    to: decision.to,
    runner: named('runner', other.runner),
    request: named('request', other.request),
    node: named('node', other.node),
    app: (subject.kind === 'runner' ? appOf(subject.id) : null) ?? text(other.app),
    ...(compared.length > 0 && {
      compared: compared.map(
        ({ name, value, op, threshold, option }) =>
          `${name} ${value} ${op} ${threshold}${option === null ? '' : ` (${option})`}`,
      ),
    }),
    ...(!decision.enforced && { enforced: false, because: decision.because }),
  }
}

/**
 * What the outside may say to the process: end, end at once, read the configuration again. Under `npm start` the loss of the parent counts
 * as SIGTERM and signals close together as one, because npm delivers a Ctrl-C twice.
 */

/** What is done about it. */
export interface SignalActions {
  /** The first signal: drain and end. */
  end(signal: 'SIGTERM' | 'SIGINT'): void
  /** A second one: end at once with this exit code. */
  endNow(code: 130 | 143): void
  reload(): void
}

/** The part of `process` that signals come from. */
export interface SignalSource {
  on(name: string, listener: () => void): unknown
  off(name: string, listener: () => void): unknown
}

/** Under npm, signals this close to the first are the same one. */
const SAME_MS = 1000

/** Listens until the returned function is called. `underNpm`: started by `npm start`, with a channel to its parent. */
export function watchSignals(
  source: SignalSource,
  underNpm: boolean,
  now: () => number,
  actions: SignalActions,
): () => void {
  let first: number | null = null
  const take = (signal: 'SIGTERM' | 'SIGINT'): void => {
    if (first === null) {
      first = now()
      actions.end(signal)
    } else if (!underNpm || now() - first >= SAME_MS)
      actions.endNow(signal === 'SIGINT' ? 130 : 143)
  }
  const lost = (): void => {
    // The parent can be lost once only, and maybe after its signal was heard.
    if (first === null) take('SIGTERM')
  }
  const listeners: readonly (readonly [string, () => void])[] = [
    ['SIGTERM', () => take('SIGTERM')],
    ['SIGINT', () => take('SIGINT')],
    ['SIGHUP', () => actions.reload()],
    ...(underNpm ? [['disconnect', lost] as const] : []),
  ]
  for (const [name, listener] of listeners) source.on(name, listener)
  return () => {
    for (const [name, listener] of listeners) source.off(name, listener)
  }
}

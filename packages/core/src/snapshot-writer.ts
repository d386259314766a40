/**
 * A snapshot as text, in pieces of bounded work, so that no pause grows with the fleet: the fleet at the moment it began. What
 * `step` is about to change before its turn is written first, as it was; nothing is held as records.
 */
import { appHead, formerHead, header, placeRow, runnerRow } from './snapshot-row.ts'
import type { NodeRecord } from './node-record.ts'
import type { Fleet, Keeper, Place, RunnerRecord } from './state.ts'

/** An incremental snapshot; one of a fleet at a time. */
export interface SnapshotWriter {
  /**
   * The next piece of the text, of up to `rows` runners, places and nodes; null when all was given. The pieces joined are
   * `JSON.stringify` of what `snapshot` gave at the beginning.
   */
  piece(rows: number): string | null
  /** Ends it, given in full or not: nothing more is kept for it. */
  close(): void
}

/** Texts of what changed before its turn, as it was. */
class Kept implements Keeper {
  readonly #fleet: Fleet
  readonly #write: (node: NodeRecord) => object
  readonly #texts = new Map<RunnerRecord | Place | NodeRecord, string>()
  /** By slot: 1 for a runner whose row is written, which may change as it likes. */
  readonly #done: Uint8Array
  readonly #doneNodes = new Set<NodeRecord>()

  constructor(fleet: Fleet, write: (node: NodeRecord) => object) {
    this.#fleet = fleet
    this.#write = write
    this.#done = new Uint8Array(fleet.owners.length)
  }

  runner(runner: RunnerRecord): void {
    if (this.#done[runner.slot] === 1) return
    if (!this.#texts.has(runner)) this.#texts.set(runner, this.#runnerText(runner))
    this.place(runner.place)
  }

  place(place: Place): void {
    if (!this.#texts.has(place)) this.#texts.set(place, JSON.stringify(placeRow(place)))
  }

  node(node: NodeRecord): void {
    if (this.#doneNodes.has(node) || this.#texts.has(node)) return
    this.#texts.set(node, JSON.stringify(this.#write(node)))
  }

  takeRunner(runner: RunnerRecord): string {
    this.#done[runner.slot] = 1
    return this.#take(runner) ?? this.#runnerText(runner)
  }

  takePlace(place: Place): string {
    return this.#take(place) ?? JSON.stringify(placeRow(place))
  }

  takeNode(node: NodeRecord): string {
    this.#doneNodes.add(node)
    return this.#take(node) ?? JSON.stringify(this.#write(node))
  }

  #runnerText(runner: RunnerRecord): string {
    return JSON.stringify(runnerRow(this.#fleet, runner))
  }

  #take(of: RunnerRecord | Place | NodeRecord): string | undefined {
    const text = this.#texts.get(of)
    if (text !== undefined) this.#texts.delete(of)
    return text
  }
}

/** Begins an incremental snapshot. Throws Error while another one of the same fleet is open. */
export function beginSnapshot(fleet: Fleet): SnapshotWriter {
  if (fleet.keeper !== null)
    throw new Error('Another snapshot of this fleet is open: close it first.')
  const { head, nodes, write } = fleet.nodes.parts()
  const kept = new Kept(fleet, write)
  const texts = document(kept, {
    head: header(fleet),
    former: Array.from(fleet.former.values(), (app) => ({ head: formerHead(app), gone: app.gone })),
    nodes: { head, nodes },
    apps: Array.from(fleet.apps.values(), (app) => ({
      head: appHead(fleet, app),
      gone: [...app.gone],
      places: app.places.slice(),
      runners: app.runners.slice(),
    })),
  })
  fleet.keeper = kept
  fleet.nodes.keeper = (node) => kept.node(node)
  const close = (): void => {
    if (fleet.keeper !== kept) return
    fleet.keeper = null
    fleet.nodes.keeper = null
  }
  return {
    piece(rows) {
      let piece = ''
      for (let left = rows; left > 0; left--) {
        const { done, value } = texts.next()
        if (done === true) {
          close()
          break
        }
        piece += value
      }
      return piece === '' ? null : piece
    },
    close() {
      texts.return()
      close()
    },
  }
}

/** What was noted at the beginning: who there was, and what is small. */
interface Outline {
  readonly head: object
  readonly former: readonly { readonly head: object; readonly gone: readonly object[] }[]
  readonly nodes: { readonly head: object; readonly nodes: readonly NodeRecord[] }
  readonly apps: readonly {
    readonly head: object
    readonly gone: readonly object[]
    readonly places: readonly Place[]
    readonly runners: readonly RunnerRecord[]
  }[]
}

function* document(kept: Kept, outline: Outline): Generator<string, void> {
  yield opened(outline.head)
  yield ',"former":['
  for (const [i, { head, gone }] of outline.former.entries()) {
    yield separator(i) + opened(head)
    yield* list('gone', gone, (runner) => JSON.stringify(runner))
    yield '}'
  }
  yield `],"nodes":${opened(outline.nodes.head)}`
  yield* list('nodes', outline.nodes.nodes, (node) => kept.takeNode(node))
  yield '},"apps":['
  for (const [i, { head, gone, places, runners }] of outline.apps.entries()) {
    yield separator(i) + opened(head)
    yield* list('gone', gone, (runner) => JSON.stringify(runner))
    yield* list('places', places, (place) => kept.takePlace(place))
    yield* list('runners', runners, (runner) => kept.takeRunner(runner))
    yield '}'
  }
  yield ']}'
}

/** An object whose lists are still to come. */
const opened = (head: object): string => JSON.stringify(head).slice(0, -1)

const separator = (index: number): string => (index === 0 ? '' : ',')

function* list<T>(
  name: string,
  rows: readonly T[],
  text: (row: T) => string,
): Generator<string, void> {
  yield `,"${name}":[`
  for (const [i, row] of rows.entries()) yield separator(i) + text(row)
  yield ']'
}

/**
 * The writer's thread: commits what the queue's thread sends, all parcels that arrived meanwhile as one transaction, so that
 * one sync of the disk is shared. It imports nothing but this package, so that it starts from source and from a build alike.
 */
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads'
import type { Parcel, Receipt } from './batch.ts'
import { Database, type Stretch } from './database.ts'
import { OpenRefusal } from './database-file.ts'

/** What the writer is started with. `empty`: whoever started it knows of no request; should there be one, it refuses. */
export interface WriterData {
  readonly file: string
  readonly empty: boolean
}

/** What the queue's thread says. */
export type ToWriter =
  | { readonly type: 'parcel'; readonly parcel: Parcel }
  | { readonly type: 'load'; readonly after: number }
  | { readonly type: 'close' }

/** What the writer says. */
export type FromWriter =
  | { readonly type: 'opened' }
  | { readonly type: 'refused'; readonly code: OpenRefusal['code']; readonly message: string }
  | { readonly type: 'stretch'; readonly stretch: Stretch }
  | { readonly type: 'receipts'; readonly receipts: readonly Receipt[] }

/** Requests of one stretch when loading. */
const STRETCH = 5_000
/** Bytes of a content up to which it is copied: to hand over many small buffers costs more. */
const COPIED = 16 * 1024
/** Parcels of one transaction; more wait for the next, so that the first ones are not held up. */
const GROUP = 64

function serve(port: MessagePort, database: Database): void {
  const say = (message: FromWriter, transfer: ArrayBuffer[] = []): void =>
    port.postMessage(message, transfer)
  port.on('message', (first: ToWriter) => {
    const parcels: Parcel[] = []
    let last: Exclude<ToWriter, { type: 'parcel' }> | undefined
    for (
      let next: ToWriter | undefined = first;
      next !== undefined;
      next =
        parcels.length < GROUP
          ? (receiveMessageOnPort(port)?.message as ToWriter | undefined)
          : undefined
    ) {
      if (next.type === 'parcel') parcels.push(next.parcel)
      else {
        last = next
        break
      }
    }
    if (parcels.length > 0) {
      const receipts = commit(database, parcels)
      say(
        { type: 'receipts', receipts },
        receipts.flatMap(({ parcel, contents }) => [
          parcel.rows.buffer,
          parcel.bytes.buffer,
          ...contents.flatMap((content) =>
            content !== null && content.byteLength > COPIED ? content.buffer : [],
          ),
        ]),
      )
    }
    if (last?.type === 'load')
      say({ type: 'stretch', stretch: database.stretch(last.after, STRETCH) })
    if (last?.type === 'close') {
      database.close()
      port.close()
    }
  })
  say({ type: 'opened' })
}

/** One transaction for all; when the disk refuses, one for each, so that a large one does not take the small ones with it. */
function commit(database: Database, parcels: readonly Parcel[]): Receipt[] {
  const done = database.apply(parcels)
  if (!('kind' in done))
    return parcels.map((parcel, index) => ({
      parcel,
      contents: done.contents[index] ?? [],
      refusal: null,
    }))
  if (parcels.length > 1) return parcels.flatMap((parcel) => commit(database, [parcel]))
  return parcels.map((parcel) => ({ parcel, contents: [], refusal: done }))
}

function open({ file, empty }: WriterData): Database {
  const database = new Database(file)
  if (empty && database.stretch(0, 1).next !== null) {
    database.close()
    throw new OpenRefusal(
      'HEALTH_QUEUE_FORMAT',
      `${file} was put there meanwhile and is read first.`,
    )
  }
  return database
}

const port = parentPort
if (port !== null) {
  try {
    serve(port, open(workerData as WriterData))
  } catch (error) {
    if (!(error instanceof OpenRefusal)) throw error
    port.postMessage({
      type: 'refused',
      code: error.code,
      message: error.message,
    } satisfies FromWriter)
    port.close()
  }
}

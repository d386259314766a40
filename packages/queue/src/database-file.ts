/**
 * How the queue's file is opened or made: for one process alone, with every commit synced, and only when it is ours. Runs in
 * the writer's thread.
 */
import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Room } from './room.ts'

/** 'hlth' in the file's header says whose file it is. */
const APPLICATION = 0x68_6c_74_68
/** The layout below. A file with a higher one is refused. */
const FORMAT = 2
/** A log that a large transaction made longer than this many moves is cut afterwards. */
const LOG_MOVES = 8
/** The log is written ahead by this much more than it holds between two moves, for the last transaction. */
const LOG_AHEAD = 9 / 8

const LAYOUT = `
  CREATE TABLE request(
    seq INTEGER PRIMARY KEY, standing INTEGER NOT NULL, fence INTEGER NOT NULL, attempts INTEGER NOT NULL, due INTEGER NOT NULL,
    head TEXT NOT NULL, tail TEXT) STRICT;
  CREATE TABLE content(seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  CREATE TABLE answer(seq INTEGER PRIMARY KEY, tail TEXT, bytes BLOB NOT NULL) STRICT;
  PRAGMA application_id = ${APPLICATION};
  PRAGMA user_version = ${FORMAT};`

/** Format 1 had answers in the place of what was submitted, and those of requests in quarantine under the negative number. */
const FROM_1 = `
  CREATE TABLE answer(seq INTEGER PRIMARY KEY, tail TEXT, bytes BLOB NOT NULL) STRICT;
  INSERT INTO answer(seq, bytes) SELECT content.seq, bytes FROM content JOIN request USING(seq) WHERE standing = 2;
  DELETE FROM content WHERE seq IN (SELECT seq FROM answer);
  INSERT INTO answer(seq, bytes) SELECT -seq, bytes FROM content WHERE seq < 0;
  DELETE FROM content WHERE seq < 0;
  PRAGMA user_version = ${FORMAT};`

/** Why a file was not opened, for the thread that asked. */
export class OpenRefusal extends Error {
  readonly code:
    | 'HEALTH_QUEUE_FORMAT'
    | 'HEALTH_DATA_LOCKED'
    | 'HEALTH_DATA_DENIED'
    | 'HEALTH_STORAGE_FULL'

  constructor(code: OpenRefusal['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** Primary result codes of SQLite that have a meaning of their own here. */
const PERM = 3
export const BUSY = 5
const READONLY = 8
export const IOERR = 10
const CORRUPT = 11
export const FULL = 13
const CANTOPEN = 14
const NOTADB = 26

/** The primary result code of what SQLite threw; 0 for anything else. */
export function resultCode(error: unknown): number {
  const code =
    error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
      ? error.errcode
      : 0
  return code & 0xff
}

/** The open file, how long one of its pages is, and what room there is for it. */
export interface OpenFile {
  readonly db: DatabaseSync
  readonly pageBytes: number
  readonly room: Room
}

/** Opens the file for this process alone. */
export function openFile(file: string): OpenFile {
  let db: DatabaseSync | undefined
  try {
    createFolder(dirname(file))
    // SQLite takes such a file for a new one and throws its log away, with every request in it.
    if (sizeOf(file) === 0 && (sizeOf(`${file}-wal`) ?? 0) > 0)
      throw new OpenRefusal(
        'HEALTH_QUEUE_FORMAT',
        `${file} is empty, and its log is not: it is damaged. Restore it, or move both away.`,
      )
    const room = new Room(file)
    db = new DatabaseSync(file, { timeout: 0, enableForeignKeyConstraints: false })
    // Bodies are nobody else's business; the log takes over the mode of its file. By name: to open and close the file here
    // would drop the lock that another queue of this process holds on it.
    chmodSync(file, 0o600)
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    const fresh = pragma(db, 'page_count') === 0
    const [application, format] = [pragma(db, 'application_id'), pragma(db, 'user_version')]
    if (!fresh && application !== APPLICATION)
      throw new OpenRefusal(
        'HEALTH_QUEUE_FORMAT',
        `${file} is not a queue. Move it away, or choose another dataDir.`,
      )
    if (format > FORMAT)
      throw new OpenRefusal(
        'HEALTH_QUEUE_FORMAT',
        `${file} has format ${format}, this version reads up to ${FORMAT}. Start the version that wrote it.`,
      )
    const pageBytes = pragma(db, 'page_size')
    db.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${Math.floor(room.logBytes / pageBytes)}; PRAGMA journal_size_limit = ${LOG_MOVES * room.logBytes}; PRAGMA temp_store = MEMORY`,
    )
    db.exec('BEGIN EXCLUSIVE')
    if (fresh) db.exec(LAYOUT)
    else if (format === 1) db.exec(FROM_1)
    db.exec('COMMIT')
    if (fresh) syncDirectory(dirname(file))
    if (!moveLog(db) && room.spend()) moveLog(db)
    writeLogAhead(db, room.logBytes * LOG_AHEAD)
    room.fill(true)
    return { db, pageBytes, room }
  } catch (error) {
    db?.close()
    throw error instanceof OpenRefusal ? error : refusalOf(error, file)
  }
}

/** Moves the log into the file, so that its room can be written again. Answers whether it could. */
export function moveLog(db: DatabaseSync): boolean {
  try {
    db.exec('PRAGMA wal_checkpoint(RESTART)')
    return true
  } catch (error) {
    if (resultCode(error) !== FULL) throw error
    return false
  }
}

/**
 * Makes the log as long as it gets between two moves, by a transaction that is too large for memory and is taken back: to write
 * over a file costs the disk half of what it costs to make it longer. Without room the log grows as it is needed.
 */
function writeLogAhead(db: DatabaseSync, bytes: number): void {
  db.exec('PRAGMA cache_size = 16; BEGIN; CREATE TABLE ahead(bytes BLOB)')
  try {
    db.exec(`INSERT INTO ahead VALUES(zeroblob(${Math.floor(bytes)}))`)
  } catch (error) {
    if (resultCode(error) !== FULL) throw error
  }
  if (db.isTransaction) db.exec('ROLLBACK')
  db.exec('PRAGMA cache_size = -16384')
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0] ?? 0)
}

/** A new file must still be there after a power cut. */
function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r')
  fsyncSync(handle)
  closeSync(handle)
}

function refusalOf(error: unknown, file: string): OpenRefusal {
  const message = error instanceof Error ? error.message : String(error)
  const code = resultCode(error)
  if (code === BUSY)
    return new OpenRefusal(
      'HEALTH_DATA_LOCKED',
      `${file} is open in another process. Stop it, or choose another dataDir.`,
    )
  if (code === FULL || /ENOSPC/.test(message))
    return new OpenRefusal(
      'HEALTH_STORAGE_FULL',
      `No space left for ${file}. Free some, then start again.`,
    )
  if (code === NOTADB || code === CORRUPT)
    return new OpenRefusal(
      'HEALTH_QUEUE_FORMAT',
      `${file} is not a queue, or is damaged (${message}). Restore it, or move it away.`,
    )
  if (code === PERM || code === READONLY || code === CANTOPEN || code === 0)
    return new OpenRefusal(
      'HEALTH_DATA_DENIED',
      `${file} cannot be written (${message}). Check dataDir and its owner.`,
    )
  return new OpenRefusal(
    'HEALTH_QUEUE_FORMAT',
    `${file} cannot be read (${message}). Restore it, or move it away.`,
  )
}

/** Bytes of a file; undefined: there is none. */
const sizeOf = (file: string): number | undefined => statSync(file, { throwIfNoEntry: false })?.size

/** Makes a folder with its parents. Not `recursive: true`: below a file system that answers ENOENT to every mkdir that never ends. */
function createFolder(path: string): void {
  if (existsSync(path)) return
  const parent = dirname(path)
  if (parent !== path) createFolder(parent)
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    // Another process may have been quicker.
    if (!existsSync(path)) throw error
  }
}

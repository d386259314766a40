/**
 * Broken contracts, as one table of codes. An expected end (a request that is rejected, a runner that is ended) is a value,
 * never a HealthError. Messages never carry secrets: what a caller sent is quoted only where the table says so.
 */

/** Every code with what it means and what to do about it. `docs/reference/errors.md` is checked against this table. */
export const errorCodes = {
  HEALTH_TIME_BACKWARDS:
    'An event is older than the one before it. Feed events in the order of `at`.',
  HEALTH_EVENT_INVALID: 'An event is not one of the documented shapes. The path names the field.',
  HEALTH_POLICY_INVALID:
    'An option has a value outside its range. The path names it; the message says what is allowed.',
  HEALTH_POLICY_UNKNOWN: 'An option does not exist. The message names the nearest one that does.',
  HEALTH_SNAPSHOT_FORMAT:
    'A snapshot was written by a newer version, or is not a snapshot. Start the version that wrote it.',
  HEALTH_JOURNAL_FORMAT:
    'A journal was written by a newer version, or is not a journal. Start the version that wrote it.',
  HEALTH_JOURNAL_CORRUPT:
    'A journal line other than the last one cannot be read. Restore the file or move it away.',
  HEALTH_REPLAY_REFUSED:
    'The option changes what would have been observed; a journal cannot answer that. Leave it out: only a fleet that runs with it can tell.',
  HEALTH_COMPILE:
    'A machine uses a feature that the table compiler does not know. The message names it.',
  HEALTH_CHECK_DUPLICATE:
    'Two health checks have one name, or two routes declare the health check of one app. Keep one; the message names both.',
  HEALTH_CHECK_UNKNOWN:
    'A group of health checks names one that does not exist. The message names the group and the check.',
  HEALTH_QUEUE_FULL:
    'The queue has reached its configured length. Try again later, or raise limits.queueLength.',
  HEALTH_QUEUE_DUPLICATE:
    'A request with this id is already in the queue. Give every request an id of its own.',
  HEALTH_QUEUE_FORMAT:
    'The queue file was written by a newer version, is not a queue, or is damaged. Start the version that wrote it, or move the file away.',
  HEALTH_QUEUE_CLOSED: 'The queue is closed. Nothing was changed; open it again.',
  HEALTH_STORAGE_FULL:
    'The disk of the data directory is full. Nothing was changed; free space, then try again.',
  HEALTH_STORAGE_FAILED:
    'The disk of the data directory does not take what is written. The message says what it answered; nothing was changed.',
  HEALTH_DATA_LOCKED:
    'Another process has the data directory open. Stop it, or choose another dataDir.',
  HEALTH_DATA_DENIED:
    'The data directory cannot be created or written. Check dataDir and its owner.',
  HEALTH_CONFIG_FILE:
    'A configuration file does not exist, cannot be read or is not what its name says. The message names it.',
  HEALTH_NOT_IN_VERSION:
    'The option or command is documented and not in this version yet. Leave it out, or take a newer version.',
  HEALTH_USAGE: 'A command was called with arguments it does not have. Try --help.',
  HEALTH_LISTEN:
    'The address cannot be listened on. Choose another host or port, or stop who has it.',
  HEALTH_CONNECT: 'The gateway cannot be reached. Start it, or set HEALTH_URL.',
  HEALTH_ANSWER: 'The gateway refused what a command asked. The message is its own.',
} as const

/** One of the codes of {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes

/** A broken contract: `code` for programs, `message` for people, `path` for the field that is wrong. */
export class HealthError extends Error {
  override readonly name = 'HealthError'
  readonly code: ErrorCode
  readonly path: string | undefined

  constructor(code: ErrorCode, message: string = errorCodes[code], path?: string) {
    super(message)
    this.code = code
    this.path = path
  }
}

/** How much a queue may hold. It counts nothing itself. */

/** Bounds of a queue. */
export interface QueueLimits {
  /** Requests that wait or run, asked at each submit; past it `submit` rejects with `HEALTH_QUEUE_FULL`. Default 1 000 000. */
  readonly maxLength?: number | (() => number)
  /** Results kept; past it the oldest goes before its retention ends. Default 1 000 000. */
  readonly maxResults?: number
  /** Requests kept in quarantine; past it the oldest is forgotten, answer and all. Default 1 000. */
  readonly maxQuarantined?: number
}

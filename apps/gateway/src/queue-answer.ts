/**
 * What the queue says to its callers, in the platform's words and shapes. URLs are absolute and on the host by which the caller
 * came, since one of the official clients follows them.
 */
import type { QueueEntry } from '@health/core'

/** The URLs of a request. */
export function requestUrls(
  base: string,
  app: string,
  id: string,
): { response_url: string; status_url: string; cancel_url: string } {
  const url = `${base}/${app}/requests/${id}`
  return { response_url: url, status_url: `${url}/status`, cancel_url: `${url}/cancel` }
}

/** The answer to a submit. */
export function submitAnswer(
  base: string,
  app: string,
  id: string,
  position: number,
): Record<string, unknown> {
  return {
    status: 'IN_QUEUE',
    request_id: id,
    ...requestUrls(base, app, id),
    queue_position: position,
    gateway_request_id: id,
  }
}

/** The answer to a status call. `logs` is always there: Python's client reads it without asking. */
export function statusAnswer(base: string, entry: QueueEntry): Record<string, unknown> {
  const common = {
    status: entry.status,
    request_id: entry.id,
    ...requestUrls(base, entry.app, entry.id),
  }
  switch (entry.status) {
    case 'IN_QUEUE':
      return { ...common, queue_position: entry.position ?? 0, logs: null }
    case 'IN_PROGRESS':
      return { ...common, logs: null }
    case 'COMPLETED': {
      const last = entry.attempts.at(-1)
      const final = entry.final
      return {
        ...common,
        logs: null,
        metrics: {
          inference_time: last === undefined ? 0 : (last.endedAt - last.startedAt) / 1000,
        },
        ...(final !== null &&
          final.status >= 400 && {
            error: final.errorType ?? `Invalid status code: ${final.status}`,
            error_type: final.errorType,
          }),
      }
    }
    default:
      return entry.status satisfies never
  }
}

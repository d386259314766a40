/**
 * Tells a runner that nobody wants an answer any more: `POST {path}/cancel` with the request's id. It is a courtesy, so it takes
 * no slot, is never repeated and never judged; a runner without that route answers 404 and finishes as it likes.
 */
import type { Lanes, Wait } from './lane.ts'
import type { Route } from './upstream.ts'

/** How long a runner may take to answer a cancel, in ms. */
export const CANCEL_MS = 5000

/** Sends the cancel of a request; `done` is called once, when it was answered, failed or took too long. */
export function sendCancel(
  lanes: Lanes,
  route: Route,
  path: string,
  request: string,
  done: () => void,
): void {
  let over = false
  let wait: Wait | null = null
  const finish = (): void => {
    if (over) return
    over = true
    wait?.cancel()
    done()
  }
  const flight = route.send(
    {
      method: 'POST',
      path: cancelPath(path),
      headers: ['x-fal-request-id', request, 'content-length', '0'],
      body: null,
    },
    { head: () => {}, data: () => true, end: finish, lost: finish },
  )
  // It may have failed already: the runner's connections are closed when its life is over.
  if (over) return
  wait = lanes.wait(CANCEL_MS, () => {
    flight.abort()
    finish()
  })
}

/** `{path}/cancel`, without query and double slash. */
export function cancelPath(path: string): string {
  const bare = path.split('?', 1)[0]!
  return `${bare.endsWith('/') ? bare.slice(0, -1) : bare}/cancel`
}

// What was seen of one machine, in order, and where one looks. At the end it follows what comes; anywhere else it stands still.

const MOST = 500

export function createTape() {
  let steps = []
  let cursor = -1
  let following = true
  return {
    get steps() {
      return steps
    },
    get cursor() {
      return cursor
    },
    get following() {
      return following
    },
    get step() {
      return steps[cursor] ?? null
    },
    get before() {
      return steps[cursor - 1] ?? null
    },
    /** Adds what happened now; past the bound the oldest is forgotten. */
    push(step) {
      steps.push(step)
      if (steps.length > MOST) {
        steps = steps.slice(-MOST)
        if (!following) cursor = Math.max(0, cursor - 1)
      }
      if (following) cursor = steps.length - 1
    },
    /** Puts what the journal knows before what was seen. */
    prepend(earlier) {
      const room = Math.max(0, MOST - steps.length)
      const kept = room === 0 ? [] : earlier.slice(-room)
      steps = [...kept, ...steps]
      cursor += kept.length
    },
    go(to) {
      cursor = Math.max(0, Math.min(steps.length - 1, to))
      following = false
    },
    pause() {
      following = false
    },
    follow() {
      following = true
      cursor = steps.length - 1
    },
  }
}

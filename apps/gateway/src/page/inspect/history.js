// What the journal knows of a machine from before it was looked at: its decisions, oldest first.
import { read } from '../gateway.js'

const PAGES = 20

/** Steps of the past; empty when the gateway does not say. */
export async function readPast(kind, id) {
  const steps = []
  let since = 0
  try {
    for (let page = 0; page < PAGES; page++) {
      const { decisions, next } = await read(`v1/decisions?since=${since}&limit=1000`)
      for (const { at, subject, from, to, rule, enforced, because } of decisions)
        if (subject.kind === kind && subject.id === id)
          steps.push({
            at: Date.parse(at),
            event: { type: rule, rule, from, to, enforced, because },
            word: to,
            before: from,
            context: null,
          })
      if (next === null || decisions.length === 0) break
      since = next
    }
  } catch {
    // The past is an extra: what is seen from now on is shown all the same.
  }
  return steps
}

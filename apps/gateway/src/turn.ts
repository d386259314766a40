/**
 * What waits for the end of a turn of the event loop, when all that came in it has been worked off. It decides nothing about what is
 * done then.
 */

/** Gathers what is to be done at the end of this turn, and does it in order. */
export function atTurnEnd<T>(perform: (one: T) => void): (one: T) => void {
  const gathered: T[] = []
  return (one) => {
    if (gathered.push(one) > 1) return
    setImmediate(() => {
      for (const each of gathered.splice(0)) perform(each)
    })
  }
}

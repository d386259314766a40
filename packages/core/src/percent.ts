/** So many per cent of a number of places, as a person with a pencil reckons it: 1.1 % of 3 000 are 33 and nothing above. */

/** A millionth is less than any percentage says, and more than the machine's error. */
const EXACT = 1e6

/** `percent` of `count`, before it is rounded up or down. */
export const percentOf = (percent: number, count: number): number =>
  Math.round((percent * count * EXACT) / 100) / EXACT

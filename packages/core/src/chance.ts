/**
 * Chance as data: a draw is a hash of who draws and how often, never a generator with a state. The same (seed, subject, counter) gives
 * the same number whatever else happened, so another policy does not reshuffle everybody's jitter and what-ifs stay comparable.
 */

/**
 * A number in [0, 1), with 32 bits of resolution. `seed`: the fleet's; `subject`: who draws (a slot, or {@link hashText} of an id);
 * `counter`: their how-manieth draw. Only the low 32 bits of each count. Not for secrets.
 */
export function chance(seed: number, subject: number, counter: number): number {
  return settle(absorb(absorb(absorb(0x2f6e2b1, seed), subject), counter) ^ 12) / 0x1_0000_0000
}

/** A text (an id) as a subject of {@link chance}: an unsigned 32-bit integer. Not for secrets, not for hash tables of strangers' keys. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = absorb(hash, text.charCodeAt(i))
  return settle(hash ^ text.length)
}

/** One 32-bit word into the running hash; the rotations and multipliers are those of MurmurHash3, whose mixing is well measured. */
function absorb(hash: number, word: number): number {
  let mixed = Math.imul(word, 0xcc9e2d51)
  mixed = Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
  const next = hash ^ mixed
  return (Math.imul((next << 13) | (next >>> 19), 5) + 0xe6546b64) | 0
}

/** Lets every bit of the input reach every bit of the result. */
function settle(hash: number): number {
  let mixed = hash ^ (hash >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

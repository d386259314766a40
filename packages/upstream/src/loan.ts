/**
 * Memory for larger pieces of answers, used again and again: a new buffer for each piece would have the collector mark the whole
 * heap several times a second. It keeps a bounded number of free ones, and never knows who has the others.
 */

/** What all sockets read at most at once, in bytes. Less than a socket's high-water mark, so that passing a full read on does not look like a full buffer. */
export const PIECE_BYTES = 61_440
/** Pieces below this are cheaper as buffers of their own, in bytes. */
const LEAST_BYTES = 4096
/** Free ones that are kept: 4 MB. */
const MAX_FREE = 64

const free: Buffer[] = []

/** A copy of `slice` and how to give its memory back; null when it is too small to be worth it. */
export function lend(
  slice: Uint8Array,
): { readonly piece: Buffer; readonly giveBack: () => void } | null {
  if (slice.byteLength < LEAST_BYTES || slice.byteLength > PIECE_BYTES) return null
  let memory: Buffer | null = free.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES)
  memory.set(slice)
  return {
    piece: memory.subarray(0, slice.byteLength),
    // Twice is once: memory that two have would mix their answers.
    giveBack() {
      if (memory !== null && free.length < MAX_FREE) free.push(memory)
      memory = null
    },
  }
}

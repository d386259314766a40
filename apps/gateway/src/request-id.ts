/**
 * The ids of calls: random UUIDs (version 4). Each is one flat string of its own: `randomUUID` puts its text together from twenty
 * pieces, which every header and every index that holds it would hold as well.
 */
import { randomFillSync } from 'node:crypto'

const BYTES = 16
/** Random bytes for so many ids are asked for at once. */
const STOCK = 128
const stock = Buffer.allocUnsafeSlow(BYTES * STOCK)
let at = stock.length

const DASH = '-'.charCodeAt(0)
const digits = Buffer.from('0123456789abcdef', 'latin1')
const text = Buffer.alloc(36, DASH)
/** Where the two digits of each byte stand. */
const places = Array.from(
  { length: BYTES },
  (_, i) => 2 * i + [4, 6, 8, 10].filter((after) => i >= after).length,
)

/** A new id, as `randomUUID` makes them. */
export function requestId(): string {
  if (at === stock.length) {
    randomFillSync(stock)
    at = 0
  }
  stock[at + 6] = (stock[at + 6]! & 0x0f) | 0x40
  stock[at + 8] = (stock[at + 8]! & 0x3f) | 0x80
  for (let i = 0; i < BYTES; i++) {
    const byte = stock[at++]!
    const place = places[i]!
    text[place] = digits[byte >> 4]!
    text[place + 1] = digits[byte & 15]!
  }
  return text.toString('latin1')
}

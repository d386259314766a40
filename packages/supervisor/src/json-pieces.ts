/**
 * A large JSON value as text in pieces of bounded work, so that writing a hundred thousand rows holds the loop for no longer
 * than one piece. The pieces joined are what `JSON.stringify` gives; it takes plain data only.
 */

/** Elements of an array that are written in one piece. */
const PIECE = 128

/** Pieces of `JSON.stringify(value)`. Values that JSON leaves out of objects are left out, in arrays they are null. */
export function* jsonPieces(value: unknown): Generator<string, void> {
  if (Array.isArray(value)) {
    yield* arrayPieces(value)
  } else if (value !== null && typeof value === 'object') {
    let opened = '{'
    for (const [key, member] of Object.entries(value)) {
      if (member === undefined || typeof member === 'function') continue
      yield `${opened}${JSON.stringify(key)}:`
      yield* jsonPieces(member)
      opened = ','
    }
    yield opened === '{' ? '{}' : '}'
  } else yield JSON.stringify(value) ?? 'null'
}

function* arrayPieces(values: readonly unknown[]): Generator<string, void> {
  let opened = '['
  for (let from = 0; from < values.length; from += PIECE) {
    const piece = values.length <= PIECE ? values : values.slice(from, from + PIECE)
    if (piece.some(holdsMany)) {
      for (const value of piece) {
        yield opened
        yield* jsonPieces(value)
        opened = ','
      }
    } else yield opened + JSON.stringify(piece).slice(1, -1)
    opened = ','
  }
  yield opened === '[' ? '[]' : ']'
}

/** Whether a value may hold rows of its own, and is walked instead of written at once. */
const holdsMany = (value: unknown): boolean =>
  value !== null &&
  typeof value === 'object' &&
  (Array.isArray(value)
    ? value.length > PIECE
    : Object.values(value).some((member) => Array.isArray(member) && member.length > 16))

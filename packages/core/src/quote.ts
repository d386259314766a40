/**
 * A wrong value as a message shows it. Values come from outside, of any size and depth: what is shown is short, and no value makes the
 * refusal of it fail.
 */

/** Longest text of a value, in characters. */
const MAX_QUOTE = 80

/** A value as JSON, cut after 80 characters; what is not JSON by its name. */
export function quote(value: unknown): string {
  const text = textOf(value)
  return text.length <= MAX_QUOTE ? text : `${text.slice(0, MAX_QUOTE)}…`
}

function textOf(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    // JSON is read to any depth, and written only as deep as the stack.
    return 'something that cannot be shown'
  }
}

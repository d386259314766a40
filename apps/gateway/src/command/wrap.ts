/** Breaks text at its spaces, so that nothing is wider than a terminal; colours have no width. It changes no word. */
import { stripVTControlCharacters } from 'node:util'

/** Width of a terminal that nobody asked. */
const COLUMNS = 80

const widthOf = (text: string): number => Array.from(stripVTControlCharacters(text)).length

/** The lines of a text; all but the first begin with `indent` spaces. A word that is wider than a line stays whole. */
export function wrap(text: string, indent: number, columns = COLUMNS): readonly string[] {
  const lead = /^ */.exec(text)![0]
  const [first = '', ...words] = text.slice(lead.length).split(' ')
  const lines: string[] = []
  let line = lead + first
  for (const word of words) {
    if (widthOf(line) + 1 + widthOf(word) <= columns) line += ` ${word}`
    else {
      lines.push(line)
      line = ' '.repeat(indent) + word
    }
  }
  return [...lines, line]
}

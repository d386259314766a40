/** Draws a table as text: columns as wide as their widest cell, colours not counted. It sorts and judges nothing. */
import { stripVTControlCharacters } from 'node:util'

const width = (cell: string): number => Array.from(stripVTControlCharacters(cell)).length

/** A header line and one line per row, ending in a newline. */
export function textTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(width(title), ...rows.map((row) => width(row[column] ?? ''))),
  )
  const line = (cells: readonly string[]): string =>
    widths
      .map((wide, column) => (cells[column] ?? '') + ' '.repeat(wide - width(cells[column] ?? '')))
      .join('  ')
      .trimEnd()
  return `${[head, ...rows].map(line).join('\n')}\n`
}

/** Text from elsewhere without what a terminal would obey. */
export function plain(value: unknown): string {
  const text =
    typeof value === 'string'
      ? value
      : value === null || value === undefined
        ? ''
        : JSON.stringify(value)
  // oxlint-disable-next-line no-control-regex -- control characters are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd')
}

/** Prometheus text → samples of metrics. Pure and strict: a line that is not one is counted, not guessed. */

/** One line: a name, labels and a number. */
export interface Metric {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** What a text held. */
export interface MetricText {
  readonly metrics: readonly Metric[]
  /** Lines that are neither metric nor comment. */
  readonly unreadable: number
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$/
const LABEL = /\s*([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"\s*(?:,|$)/y
const escapes: Readonly<Record<string, string>> = { n: '\n', '\\': '\\', '"': '"' }

/** Reads a text; only names that `wanted` takes are kept. */
export function readMetrics(text: string, wanted: (name: string) => boolean): MetricText {
  const metrics: Metric[] = []
  let unreadable = 0
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const match = LINE.exec(line.trim())
    const labels = match === null ? null : readLabels(match[2] ?? '')
    const value = match === null ? NaN : readValue(match[3]!)
    if (match === null || labels === null || Number.isNaN(value)) unreadable++
    else if (wanted(match[1]!)) metrics.push({ name: match[1]!, labels, value })
  }
  return { metrics, unreadable }
}

function readLabels(text: string): Record<string, string> | null {
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  while (LABEL.lastIndex < text.length) {
    const match = LABEL.exec(text)
    if (match === null) return null
    labels[match[1]!] = match[2]!.replace(/\\(.)/g, (whole, sign: string) => escapes[sign] ?? whole)
  }
  return labels
}

function readValue(text: string): number {
  if (text === '+Inf' || text === 'Inf') return Infinity
  if (text === '-Inf') return -Infinity
  return text === '' ? NaN : Number(text)
}

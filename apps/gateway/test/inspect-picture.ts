/** The modules of the inspector's page that need no page, and a chart as an SVG file for the documentation. */
import { createRequire } from 'node:module'

const page = (name: string): string => new URL(`../src/page/inspect/${name}`, import.meta.url).href

/** A state of a chart. */
export interface ChartState {
  readonly path: string
  readonly key: string
  readonly type: string
  readonly parent: ChartState | null
  readonly children: readonly ChartState[]
  readonly orders: readonly string[]
}
/** A way from one state to another. */
export interface Arrow {
  readonly id: string
  readonly from: ChartState
  readonly to: ChartState
  readonly lines: readonly string[]
  readonly rules: ReadonlySet<string>
  readonly events: ReadonlySet<string>
}
/** A chart as the page reads it. */
export interface Chart {
  readonly root: ChartState
  readonly states: ReadonlyMap<string, ChartState>
  readonly arrows: readonly Arrow[]
}
interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}
interface Point {
  readonly x: number
  readonly y: number
}
interface Places {
  readonly width: number
  readonly height: number
  readonly boxes: ReadonlyMap<string, Box>
  readonly lines: ReadonlyMap<
    string,
    {
      readonly sections?: readonly {
        readonly startPoint: Point
        readonly bendPoints?: readonly Point[]
        readonly endPoint: Point
      }[]
      readonly labels?: readonly Point[]
    }
  >
}

/** `chart.js` of the page. */
export const chartModule = (await import(page('chart.js'))) as {
  readChart: (text: string) => Chart
  pathsOf: (chart: Chart, value: unknown) => ReadonlySet<string>
  pathsOfWord: (chart: Chart, word: string) => ReadonlySet<string>
  takenArrows: (
    chart: Chart,
    before: ReadonlySet<string>,
    after: ReadonlySet<string>,
    event: { type?: string; rule?: string } | null,
  ) => readonly Arrow[]
}
/** `tape.js` of the page. */
export const tapeModule = (await import(page('tape.js'))) as {
  createTape(): {
    readonly steps: readonly unknown[]
    readonly step: unknown
    readonly cursor: number
    readonly following: boolean
    push(step: unknown): void
    prepend(steps: readonly unknown[]): void
    go(to: number): void
    pause(): void
    follow(): void
  }
}
const layoutModule = (await import(page('layout.js'))) as {
  labelOf(arrow: Arrow): string
  graphOf(chart: Chart): object
  placesOf(placed: object): Places
}

const text = (value: string): string =>
  value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
const round = (value: number): number => Math.round(value * 10) / 10

/** A chart as an SVG file, laid out as the page lays it out. */
export async function pictureOf(definition: string, name: string): Promise<string> {
  const chart = chartModule.readChart(definition)
  const Elk = createRequire(import.meta.url)('elkjs/lib/elk.bundled.js') as new () => {
    layout(graph: object): Promise<object>
  }
  const places = layoutModule.placesOf(await new Elk().layout(layoutModule.graphOf(chart)))
  const parts: string[] = []
  const draw = (state: ChartState): void => {
    const { x, y, width, height } = places.boxes.get(state.path)!
    const rect = (by: number): string =>
      `<rect x="${round(x + by)}" y="${round(y + by)}" width="${round(width - 2 * by)}" height="${round(height - 2 * by)}" rx="${8 - by}"${state.parent?.type === 'parallel' ? ' stroke-dasharray="6 4"' : ''}/>`
    parts.push(rect(0))
    if (state.type === 'final') parts.push(rect(3))
    parts.push(
      `<text x="${round(x + 12)}" y="${round(y + 22)}" class="title">${text(state.key)}</text>`,
    )
    state.orders.forEach((order, i) =>
      parts.push(
        `<text x="${round(x + 12)}" y="${round(y + 38 + i * 15)}" class="order">entry / ${text(order)}</text>`,
      ),
    )
    for (const child of state.children) draw(child)
  }
  for (const state of chart.root.children) draw(state)
  for (const arrow of chart.arrows) {
    const line = places.lines.get(arrow.id)
    for (const { startPoint, bendPoints = [], endPoint } of line?.sections ?? []) {
      const points = [startPoint, ...bendPoints, endPoint]
      parts.push(
        `<polyline points="${points.map(({ x, y }) => `${round(x)},${round(y)}`).join(' ')}" marker-end="url(#tip)"><title>${text(arrow.lines.join('\n'))}</title></polyline>`,
      )
    }
    for (const { x, y } of line?.labels ?? [])
      parts.push(
        `<text x="${round(x + 4)}" y="${round(y + 11)}" class="label">${text(layoutModule.labelOf(arrow))}</text>`,
      )
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -8 ${round(places.width + 16)} ${round(places.height + 16)}" role="img" aria-label="Statechart of a ${name}">
<style>
text { font: 13px system-ui, sans-serif; fill: #15201f }
.title { font-weight: 650 }
.order, .label { font-size: 11px; fill: #566462 }
rect { fill: #fff; stroke: #8a9896 }
polyline { fill: none; stroke: #566462 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6eceb }
  .order, .label { fill: #9badab }
  rect { fill: #182020; stroke: #4a5a58 }
  polyline { stroke: #9badab }
}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#566462"/></marker></defs>
${parts.join('\n')}
</svg>
`
}

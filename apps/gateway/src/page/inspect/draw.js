// Draws a chart that was laid out, and lights what is active. Texts become text nodes, never markup.
import { labelOf } from './layout.js'

const SVG = 'http://www.w3.org/2000/svg'
/** Small enough to see where one is, large enough to read. */
const SCALE = 0.9

function make(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value))
  made.append(...children)
  return made
}

/** The colour of a state, by the word its path begins with; other charts have one colour. */
function kindOf(path) {
  if (path.includes('suspect')) return 'suspect'
  if (/^(terminated|gone|rejected|escalated|retired)/.test(path)) return 'terminated'
  if (/^(starting|queued)/.test(path)) return 'starting'
  return 'ready'
}

/** An element of the chart, and `show(lit, taken)` to light it. */
export function drawChart(chart, layout) {
  const svg = make('svg', {
    viewBox: `-8 -8 ${layout.width + 16} ${layout.height + 16}`,
    width: Math.round((layout.width + 16) * SCALE),
    height: Math.round((layout.height + 16) * SCALE),
    role: 'img',
    'aria-label': 'Statechart',
  })
  const boxes = new Map()
  // Above the arrows: a line must not run through a name.
  const names = make('g', { class: 'names' })
  const draw = (state) => {
    const at = layout.boxes.get(state.path)
    const group = make('g', {
      class: `box ${state.children.length === 0 ? 'leaf' : 'inner'}`,
      'data-path': state.path,
      'data-state': kindOf(state.path),
    })
    if (state.parent?.type === 'parallel') group.classList.add('region')
    group.append(make('rect', { x: at.x, y: at.y, width: at.width, height: at.height, rx: 8 }))
    if (state.type === 'final')
      group.append(
        make('rect', {
          x: at.x + 4,
          y: at.y + 4,
          width: at.width - 8,
          height: at.height - 8,
          rx: 5,
        }),
      )
    const title = make('text', {
      x: at.x + 12,
      y: at.y + 22,
      class: state.children.length === 0 ? 'title' : 'title inner',
    })
    title.textContent = state.key
    names.append(title)
    state.orders.forEach((order, i) => {
      const text = make('text', { x: at.x + 12, y: at.y + 38 + i * 15, class: 'order' })
      text.textContent = `entry / ${order}`
      names.append(text)
    })
    boxes.set(state.path, group)
    svg.append(group)
    for (const child of state.children) draw(child)
  }
  for (const state of chart.root.children) draw(state)

  const edges = new Map()
  for (const arrow of chart.arrows) {
    const line = layout.lines.get(arrow.id)
    if (line === undefined) continue
    const group = make('g', { class: 'edge' })
    const whole = make('title')
    whole.textContent = [...new Set(arrow.lines)].join('\n')
    group.append(whole)
    for (const { startPoint, bendPoints = [], endPoint } of line.sections ?? []) {
      const points = [startPoint, ...bendPoints, endPoint]
      group.append(
        make('path', {
          d: points.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${x} ${y}`).join(''),
        }),
        tip(points),
      )
    }
    for (const label of line.labels ?? []) {
      const text = make('text', { x: label.x + 4, y: label.y + 11 })
      text.textContent = labelOf(arrow)
      group.append(text)
    }
    edges.set(arrow, group)
    svg.append(group)
  }
  svg.append(names)

  return {
    svg,
    /** Brings the innermost lit state into view, when it is not. */
    reveal(frame) {
      const leaf = [...boxes.values()].findLast((group) => group.matches('.lit.leaf'))
      if (leaf === undefined) return
      const seen = frame.getBoundingClientRect()
      const is = leaf.getBoundingClientRect()
      if (is.left < seen.left || is.right > seen.right)
        frame.scrollLeft += is.left + is.width / 2 - (seen.left + seen.width / 2)
      if (is.top < seen.top || is.bottom > seen.bottom)
        frame.scrollTop += is.top + is.height / 2 - (seen.top + seen.height / 2)
    },
    show(lit, taken, words) {
      for (const [path, group] of boxes) group.classList.toggle('lit', lit.has(path))
      for (const [arrow, group] of edges) {
        group.classList.toggle('ready', lit.has(arrow.from.path))
        group.classList.toggle('taken', taken.includes(arrow))
      }
      svg.setAttribute('aria-label', `Statechart: ${words}`)
    },
  }
}

/** The head of an arrow, in the direction of its last piece. */
function tip(points) {
  const { x, y } = points.at(-1)
  const from = points.at(-2)
  const angle = (Math.atan2(y - from.y, x - from.x) * 180) / Math.PI
  return make('polygon', {
    class: 'arrow',
    points: '0,0 -8,-4 -8,4',
    transform: `translate(${x} ${y}) rotate(${angle})`,
  })
}

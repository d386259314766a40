// Places the states and arrows of a chart. The layout engine is large: it is loaded when the first chart is drawn, and works beside the page.

const base = new URL('./', import.meta.url)
let engine = null

function load() {
  engine ??= new Promise((resolve, reject) => {
    const script = document.createElement('script')
    script.src = new URL('elk-api.js', base).href
    script.addEventListener('load', () =>
      resolve(new globalThis.ELK({ workerUrl: new URL('elk-worker.js', base).href })),
    )
    script.addEventListener('error', () => {
      engine = null
      reject(new Error('The layout engine could not be loaded.'))
    })
    document.head.append(script)
  })
  return engine
}

const options = {
  'elk.algorithm': 'layered',
  'elk.direction': 'DOWN',
  'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.json.edgeCoords': 'ROOT',
  'elk.json.shapeCoords': 'ROOT',
  'elk.spacing.edgeLabel': '4',
  'elk.spacing.nodeNode': '22',
  'elk.layered.spacing.nodeNodeBetweenLayers': '36',
  'elk.layered.spacing.edgeNodeBetweenLayers': '12',
  'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
  // The order of the definition is the order of a life: arrows back to its beginning point up.
  'elk.layered.cycleBreaking.strategy': 'MODEL_ORDER',
}
const LONGEST = 26
/** The label of an arrow: its first event and how many more; the whole of it is told when one points at it. */
export function labelOf({ events }) {
  const [first, ...more] = events
  const text = first.length > LONGEST ? `${first.slice(0, LONGEST - 1)}…` : first
  return more.length === 0 ? text : `${text} +${more.length}`
}

function box(state) {
  const orders = state.orders.map((order) => `entry / ${order}`)
  const width = Math.max(
    84,
    state.key.length * 8.2 + 26,
    ...orders.map((text) => text.length * 6.3 + 24),
  )
  const height = 34 + orders.length * 15
  if (state.children.length === 0) return { id: `s:${state.path}`, width, height }
  return {
    id: `s:${state.path}`,
    children: state.children.map(box),
    layoutOptions: {
      'elk.padding': `[top=${height + 6},left=18,bottom=18,right=18]`,
      'elk.nodeSize.constraints': 'MINIMUM_SIZE',
      'elk.nodeSize.minimum': `(${width},${height})`,
    },
  }
}

const arrowEnd = (state) => `s:${state.path}`

/** What the engine is asked. What holds for the whole machine has no box to begin in; it is told beside the chart. */
export const graphOf = (chart) => ({
  id: 'root',
  layoutOptions: options,
  children: chart.root.children.map(box),
  edges: chart.arrows
    .filter(({ from, to }) => from.path !== '' && to.path !== '')
    .map((arrow) => ({
      id: arrow.id,
      sources: [arrowEnd(arrow.from)],
      targets: [arrowEnd(arrow.to)],
      labels: [{ text: labelOf(arrow), width: labelOf(arrow).length * 6.2 + 8, height: 15 }],
    })),
})

/** What the engine answered: rectangles by path and bent lines by arrow, in one plane. */
export function placesOf(placed) {
  const boxes = new Map()
  const walk = (node) => {
    for (const child of node.children ?? []) {
      boxes.set(child.id.slice(2), child)
      walk(child)
    }
  }
  walk(placed)
  return {
    width: placed.width,
    height: placed.height,
    boxes,
    lines: new Map((placed.edges ?? []).map((edge) => [edge.id, edge])),
  }
}

/** Lays a chart out. */
export async function layOut(chart) {
  const elk = await load()
  return placesOf(await elk.layout(graphOf(chart)))
}

// Turns a definition, as the inspector's frames carry it, into states and arrows, and says which states a value lights. It draws nothing.

const MAX_STATES = 1000
const list = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value])
const nameOf = (thing) => (typeof thing === 'string' ? thing : (thing?.type ?? 'inline'))

/** States by path (`serving.health.ready`; the root is ''), and the arrows between them. Throws for what is no definition. */
export function readChart(text) {
  const config = parse(text)
  const states = new Map()
  const byId = new Map()

  const collect = (key, own, parent) => {
    if (states.size > MAX_STATES) throw new Error('The chart has too many states to be drawn.')
    const path = parent === null ? '' : parent.path === '' ? key : `${parent.path}.${key}`
    const inner = Object.entries(own?.states ?? {})
    const state = {
      path,
      key,
      parent,
      config: own ?? {},
      type: own?.type ?? (inner.length > 0 ? 'compound' : 'atomic'),
      initial: own?.initial ?? null,
      word: own?.meta?.word ?? null,
      orders: list(own?.entry).map(nameOf),
      children: [],
    }
    states.set(path, state)
    if (own?.id !== undefined) byId.set(own.id, state)
    if (parent !== null) parent.children.push(state)
    for (const [name, child] of inner) collect(name, child, state)
    return state
  }
  const root = collect(config.id ?? 'machine', config, null)

  const find = (from, words) =>
    words.reduce((at, word) => at?.children.find((child) => child.key === word), from)
  const resolve = (target, state) => {
    if (target.startsWith('#')) {
      const [id, ...rest] = target.slice(1).split('.')
      const [whole, start] = byId.has(target.slice(1))
        ? [[], byId.get(target.slice(1))]
        : [rest, byId.get(id) ?? (id === root.key ? root : undefined)]
      return find(start, whole)
    }
    if (target.startsWith('.')) return find(state, target.slice(1).split('.'))
    return find(state.parent ?? root, target.split('.'))
  }

  const arrows = new Map()
  const add = (state, event, value) => {
    for (const one of list(value)) {
      const targets = typeof one === 'string' ? [one] : list(one?.target)
      for (const target of targets) {
        const to = resolve(target, state)
        if (to === undefined) continue
        const id = `${state.path}>${to.path}`
        if (!arrows.has(id))
          arrows.set(id, { id, from: state, to, lines: [], rules: new Set(), events: new Set() })
        const arrow = arrows.get(id)
        const guard =
          typeof one === 'object' && one.guard !== undefined ? ` [${nameOf(one.guard)}]` : ''
        arrow.lines.push(event + guard)
        arrow.events.add(event)
        if (one?.meta?.rule !== undefined) arrow.rules.add(one.meta.rule)
      }
    }
  }
  for (const state of states.values()) {
    const { on, after, always, onDone, invoke } = state.config
    for (const [event, value] of Object.entries(on ?? {})) add(state, event, value)
    for (const [delay, value] of Object.entries(after ?? {})) add(state, `after ${delay}`, value)
    if (always !== undefined) add(state, 'always', always)
    if (onDone !== undefined) add(state, 'done', onDone)
    for (const each of list(invoke)) {
      if (each?.onDone !== undefined) add(state, `${nameOf(each.src)} done`, each.onDone)
      if (each?.onError !== undefined) add(state, `${nameOf(each.src)} failed`, each.onError)
    }
  }
  return { root, states, arrows: [...arrows.values()] }
}

function parse(text) {
  let config = null
  try {
    config = JSON.parse(text)
  } catch {
    // Said below.
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw new Error('This machine brought no definition that can be drawn.')
  return config
}

/** Paths of all states that a value lights. */
export function pathsOf(chart, value) {
  const lit = new Set()
  const walk = (state, part) => {
    if (state === undefined) return
    if (state.path !== '') lit.add(state.path)
    if (typeof part === 'string') walk(state.children.find((child) => child.key === part))
    else if (typeof part === 'object' && part !== null)
      for (const [key, inner] of Object.entries(part))
        walk(
          state.children.find((child) => child.key === key),
          inner,
        )
  }
  walk(chart.root, value)
  return lit
}

/** Paths that a word of the journal stands for (`failing+draining`); empty for a word that the chart does not know. */
export function pathsOfWord(chart, word) {
  const wanted = word
    .replace(/^(idle|busy)/, 'ready')
    .split('+')
    .map((part, i) => (i === 0 ? part : `+${part}`))
  const lit = new Set()
  for (const state of chart.states.values()) {
    if (state.word === null || !wanted.includes(state.word)) continue
    for (let at = state; at !== null && at.path !== ''; at = at.parent) lit.add(at.path)
  }
  // The regions that the word is silent about stand at their beginning.
  for (const state of chart.states.values()) {
    if (!lit.has(state.path) || state.type !== 'parallel') continue
    for (const region of state.children) {
      for (
        let at = region;
        at !== undefined;
        at = at.children.find((child) => child.key === at.initial)
      ) {
        lit.add(at.path)
        if (at.children.some((child) => lit.has(child.path))) break
      }
    }
  }
  return lit
}

/** The arrows that led from one set of lit states to another; those of the rule or event that is named first. */
export function takenArrows(chart, before, after, event) {
  const entered = [...after].filter((path) => !before.has(path))
  if (entered.length === 0) return []
  const fits = chart.arrows.filter(
    ({ from, to }) =>
      (from.path === '' || before.has(from.path)) &&
      (entered.includes(to.path) || entered.some((path) => path.startsWith(`${to.path}.`))),
  )
  const exact = fits.filter(
    ({ rules, events }) => rules.has(event?.rule) || events.has(event?.type),
  )
  return exact.length > 0 ? exact : fits.slice(0, 1)
}

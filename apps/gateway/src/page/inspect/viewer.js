// Shows one machine: its chart, where it stands, what it knows, what happened; now, or at any step that was seen.
import { element, follow, setText } from '../element.js'
import { pathsOf, pathsOfWord, readChart, takenArrows } from './chart.js'
import { drawChart } from './draw.js'
import { layOut } from './layout.js'
import { createTape } from './tape.js'

const at = (id) => document.querySelector(id)
const TAKEN_MS = 1600

export function createViewer() {
  const drawings = new Map()
  let tape = createTape()
  let drawing = null
  let fading = 0

  const litOf = (step) =>
    step === null || drawing === null
      ? new Set()
      : step.word !== undefined
        ? pathsOfWord(drawing.chart, step.word)
        : pathsOf(drawing.chart, step.value)
  const wordsOf = (lit) =>
    [...lit].filter((path) => ![...lit].some((other) => other.startsWith(`${path}.`))).join(', ')

  function draw() {
    const { step, before, steps, cursor, following } = tape
    const lit = litOf(step)
    const words = wordsOf(lit)
    at('#pause').setAttribute('aria-pressed', String(!following))
    for (const id of ['#pause', '#cursor']) at(id).disabled = steps.length === 0
    at('#fit').disabled = drawing === null
    setText(at('#pause'), following ? 'Pause' : 'Go on live')
    at('#back').disabled = cursor <= 0
    at('#forth').disabled = cursor >= steps.length - 1
    at('#cursor').max = String(Math.max(0, steps.length - 1))
    at('#cursor').value = String(Math.max(0, cursor))
    setText(
      at('#place'),
      steps.length === 0 ? '' : `${cursor + 1} of ${steps.length}${following ? ', live' : ''}`,
    )
    setText(
      at('#now'),
      step === null
        ? ''
        : `${following ? 'Now' : new Date(step.at).toLocaleTimeString()}: ${words}`,
    )
    drawContext(step, before)
    drawEvents()
    if (drawing === null) return
    const was = step?.before !== undefined ? pathsOfWord(drawing.chart, step.before) : litOf(before)
    drawing.show(lit, step === null ? [] : takenArrows(drawing.chart, was, lit, step.event), words)
    drawing.reveal(at('#chart'))
    clearTimeout(fading)
    // An arrow that was taken goes dark again, unless one looks at that very step.
    if (following) fading = setTimeout(() => drawing?.show(lit, [], words), TAKEN_MS)
  }

  function drawContext(step, before) {
    const entries = Object.entries(step?.context ?? {})
    follow(
      at('#context'),
      entries.flatMap(([name, value]) => [
        { key: `t ${name}`, tag: 'dt', text: name },
        {
          key: `d ${name}`,
          tag: 'dd',
          text: format(value),
          changed: before?.context && format(before.context[name]) !== format(value),
        },
      ]),
      ({ key }) => key,
      ({ tag }) => element(tag),
      (item, { text, changed }) => {
        setText(item, text)
        item.classList.toggle('changed', changed === true)
      },
    )
  }

  function drawEvents() {
    const { steps, cursor } = tape
    follow(
      at('#events'),
      steps
        .map((step, index) => ({ step, index }))
        .toReversed()
        .slice(0, 200),
      ({ step }) => step.number,
      ({ step }) => {
        const { type, rule, because } = step.event ?? { type: 'seen' }
        const button = element(
          'button',
          { type: 'button' },
          element('time', { textContent: new Date(step.at).toLocaleTimeString() }),
          element('span', {
            textContent: rule === undefined || rule === type ? type : `${type} → ${rule}`,
          }),
        )
        if (because) button.append(element('small', { textContent: `withheld by ${because}` }))
        button.addEventListener('click', () => {
          tape.go(tape.steps.indexOf(step))
          draw()
        })
        return element('li', {}, button)
      },
      (item, { index }) => item.firstChild.setAttribute('aria-current', String(index === cursor)),
    )
  }

  async function chartOf(definition) {
    if (!drawings.has(definition)) {
      const chart = readChart(definition)
      drawings.set(
        definition,
        layOut(chart).then((layout) => ({ chart, ...drawChart(chart, layout) })),
      )
    }
    return drawings.get(definition)
  }

  let numbers = 0
  const numbered = (step) => ({ ...step, number: ++numbers })

  at('#back').addEventListener('click', () => move(-1))
  at('#forth').addEventListener('click', () => move(1))
  at('#pause').addEventListener('click', toggle)
  at('#fit').addEventListener('click', fit)
  at('#cursor').addEventListener('input', ({ target }) => {
    tape.go(Number(target.value))
    draw()
  })
  at('#chart').addEventListener('keydown', (event) => {
    if (event.key === 'ArrowLeft') move(-1)
    else if (event.key === 'ArrowRight') move(1)
    else if (event.key === ' ') toggle()
    else if (event.key === 'f') fit()
    else return
    event.preventDefault()
  })
  function fit() {
    const fitted = at('#chart').classList.toggle('fitted')
    at('#fit').setAttribute('aria-pressed', String(fitted))
    drawing?.reveal(at('#chart'))
  }
  function move(by) {
    tape.go(tape.cursor + by)
    draw()
  }
  function toggle() {
    if (tape.following) tape.pause()
    else tape.follow()
    draw()
  }

  return {
    /** Begins with another machine. */
    open(title) {
      tape = createTape()
      drawing = null
      setText(at('#chart-title'), title)
      at('#chart').replaceChildren()
      setText(at('#anywhere'), '')
      draw()
    },
    /** Says why there is no chart, while there is none. */
    excuse(text) {
      if (drawing !== null || tape.steps.length > 0) return
      at('#chart').replaceChildren(element('p', { className: 'hint', textContent: text }))
    },
    /** Its chart. A definition that cannot be drawn leaves the lists. */
    async introduce(definition) {
      const mine = tape
      try {
        const ready = await chartOf(definition)
        if (tape !== mine) return
        drawing = ready
        at('#chart').replaceChildren(ready.svg)
        setText(at('#anywhere'), anywhere(ready.chart))
      } catch (error) {
        if (tape === mine)
          at('#chart').replaceChildren(
            element('p', { className: 'hint', textContent: error.message }),
          )
      }
      draw()
    },
    push(step) {
      tape.push(numbered(step))
      draw()
    },
    prepend(steps) {
      // What the journal and we both saw is shown once.
      const first = tape.steps[0]?.at ?? Number.POSITIVE_INFINITY
      tape.prepend(steps.filter((step) => step.at < first).map(numbered))
      draw()
    },
  }
}

/** Arrows of the whole machine, which begin in no box. */
function anywhere(chart) {
  const arrows = chart.arrows.filter(({ from }) => from.path === '')
  if (arrows.length === 0) return ''
  const texts = arrows.map(({ events, to }) => `${[...events].join(', ')} → ${to.path}`)
  return `From anywhere: ${texts.join('; ')}`
}

const DATE = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/

/** A value as a person reads it; the parts of an object each on a line: `ok: true`, `status: 200`. */
function format(value) {
  if (value === null || value === undefined || value === '') return '–'
  if (typeof value === 'string' && DATE.test(value)) return new Date(value).toLocaleTimeString()
  if (typeof value !== 'object') return String(value)
  const part = (one) =>
    typeof one === 'object' && one !== null ? JSON.stringify(one) : format(one)
  const parts = Array.isArray(value)
    ? value.map(part)
    : Object.entries(value).map(([name, one]) => `${name}: ${part(one)}`)
  return parts.length === 0 ? 'none' : parts.join('\n')
}

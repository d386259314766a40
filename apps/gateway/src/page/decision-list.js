// Keeps and draws the last decisions: what changed, by which rule, and the values that were compared.
import { element, follow, short } from './element.js'
import { read } from './gateway.js'

const KEEP = 100
/** Pages read in one go; without a channel a longer history is caught up with over the next seconds. */
const MAX_PAGES = 20
let kept = []

let reading = null
let more = false

const newest = () => kept.at(-1)?.seq ?? 0
/** Numbers begin anew with a data directory: only a moment beside it tells a decision from another. */
const keyOf = ({ seq, at }) => `${seq} ${at}`

/** Reads what came since the last call; one reading at a time, and once more for who came meanwhile. */
export function readDecisions() {
  more = true
  reading ??= readAll().finally(() => {
    reading = null
  })
  return reading
}

async function readAll() {
  while (more) {
    more = false
    await readPages()
  }
}

async function readPages() {
  for (let page = 0; page < MAX_PAGES; page++) {
    // From the one that is known: a gateway that tells another one, or none, has begun a new history.
    const since = Math.max(0, newest() - 1)
    const known = kept.at(-1)
    const { decisions, next } = await read(`v1/decisions?since=${since}&limit=1000`)
    // A snapshot told the last ones meanwhile.
    if (kept.at(-1) !== known) continue
    const begunAnew =
      known !== undefined && (decisions.length === 0 || keyOf(decisions[0]) !== keyOf(known))
    if (begunAnew) {
      kept = []
      continue
    }
    kept = [...kept, ...decisions.slice(known === undefined ? 0 : 1)].slice(-KEEP)
    if (next === null) break
  }
}

/** Takes the last ones as a snapshot tells them: what came before them need not be read. */
export function takeDecisions(decisions) {
  kept = decisions.slice(-KEEP)
}

/** Keeps one that was just told. False when there are others before it that must be read. */
export function keepDecision(decision) {
  if (reading !== null || decision.seq > newest() + 1) return false
  if (decision.seq <= newest()) return true
  kept = [...kept, decision].slice(-KEEP)
  return true
}

const signs = { '<': '<', '<=': '≤', '>': '>', '>=': '≥' }
const opposite = { '<': '>=', '<=': '>', '>': '<=', '>=': '<' }
const holds = {
  '<': (value, threshold) => value < threshold,
  '<=': (value, threshold) => value <= threshold,
  '>': (value, threshold) => value > threshold,
  '>=': (value, threshold) => value >= threshold,
}

/** Times are compared in ms; a person reads seconds. */
const amount = (value, option) =>
  option?.endsWith('Seconds') ? `${value / 1000} s` : String(value)

/** What is so: a question that was answered no is told the other way round. */
function compared({ name, value, op, threshold, option }) {
  const sign = signs[holds[op](value, threshold) ? op : opposite[op]]
  return `${name} ${amount(value, option)} ${sign} ${amount(threshold, option)}${option ? ` (${option})` : ''}`
}

function makeItem(decision) {
  const at = new Date(decision.at)
  const { kind, id } = decision.subject
  const change = decision.from === decision.to ? decision.to : `${decision.from} → ${decision.to}`
  const what = element(
    'p',
    {},
    element('span', { className: 'id', title: id, textContent: `${kind} ${short(id)}` }),
    `  ${change}  by `,
    element('strong', { textContent: decision.rule }),
  )
  if (!decision.enforced)
    what.append(
      ' ',
      element('span', {
        className: 'withheld',
        textContent: `withheld by ${decision.because ?? 'a rule'}`,
      }),
    )
  const item = element(
    'li',
    {},
    element('time', { textContent: at.toLocaleTimeString(), dateTime: at.toISOString() }),
    what,
  )
  if (decision.compared.length > 0)
    item.append(
      element('p', {
        className: 'compared',
        textContent: decision.compared.map(compared).join(' · '),
      }),
    )
  return item
}

export function drawDecisions() {
  follow(document.querySelector('#decisions'), kept.toReversed(), keyOf, makeItem, () => {})
}

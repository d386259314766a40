// The inspector's page: which machines there are, and one of them as it moves. Its machines are the gateway's, or, when another page
// opened this one through `createBrowserInspector`, those of that page and nothing of the gateway.
import { connect } from '../channel.js'
import { setText } from '../element.js'
import { useKey } from '../gateway.js'
import { createMachineList } from './machine-list.js'
import { readPast } from './history.js'
import { createViewer } from './viewer.js'

const status = document.querySelector('#status')
const form = document.querySelector('#key-form')
const viewer = createViewer()
const list = createMachineList(choose)
/** Frames of a page that opened us: definition and steps by session. */
const strangers = new Map()
const MOST_STRANGERS = 200
const UNKNOWN = 'The gateway knows nothing of this one. It is shown as soon as it begins.'
const UNKNOWN_MS = 1000
let current = null
let watched = null

function changed(state, reason) {
  const words = { open: 'Live', lost: 'The gateway does not answer; trying again.', key: reason }
  setText(status, words[state])
  status.classList.toggle('lost', state !== 'open')
  if (state === 'key') form.hidden = false
  else if (state === 'open') form.hidden = true
}

/** Shows a machine, `kind/id`. */
function choose(key) {
  if (key === current) return
  current = key
  list.choose(key)
  history.replaceState(null, '', `${location.pathname}${location.search}#${encodeURI(key)}`)
  watched?.close()
  viewer.open(key.replace('/', ' '))
  if (strangers.has(key)) {
    const { definition, steps } = strangers.get(key)
    for (const step of steps) viewer.push(step)
    void viewer.introduce(definition)
    return
  }
  const [kind, ...rest] = key.split('/')
  const id = rest.join('/')
  const mine = (act) => (value) => {
    if (current === key) act(value)
  }
  watched = connect(`v1/inspect?kind=${kind}&id=${encodeURIComponent(id)}`, {
    heard: (frame) => {
      if (frame.type === '@xstate.actor') void viewer.introduce(frame.definition)
      else if (frame.type === '@xstate.snapshot') viewer.push(stepOf(frame))
    },
    changed: () => {},
  })
  void readPast(kind, id).then(
    mine((steps) => {
      viewer.prepend(steps)
      // What is known has been told by then, or will be in a moment.
      setTimeout(
        mine(() => viewer.excuse(UNKNOWN)),
        UNKNOWN_MS,
      )
    }),
  )
}

const stepOf = ({ createdAt, event, snapshot }) => ({
  at: Number(createdAt),
  event: {
    ...event,
    type: event?.type === '@xstate.init' ? 'as it was found' : (event?.type ?? 'as it was found'),
  },
  value: snapshot?.value,
  context: snapshot?.context ?? null,
})

const statusOf = ({ snapshot }) => String(snapshot?.status ?? '')

/** A text of the address; one that nobody has encoded is taken as it is. */
function decoded(text) {
  try {
    return decodeURI(text)
  } catch {
    return text
  }
}

/** The machine that the address names: `#kind/id`, or `#id` alone. */
function wanted() {
  const name = decoded(location.hash.slice(1))
  if (name === '') return list.first()
  return /^(runner|request|node)\//.test(name) ? name : list.find(name)
}

function followGateway() {
  connect('v1/realtime', {
    opened: (say) => say({ type: 'subscribe', topics: ['runners', 'nodes', 'requests'] }),
    heard: (message) => {
      list.hear(message)
      const key = current === null ? wanted() : null
      if (key !== null) choose(key)
    },
    changed,
  })
  setInterval(list.draw, 5000)
}

/** Machines of the page that opened this one; what it sends is shown, and nothing is sent back. */
function followOpener() {
  setText(status, 'Showing the machines of the page that opened this one')
  addEventListener('message', ({ source, data: frame }) => {
    if (
      source !== window.opener ||
      typeof frame?.type !== 'string' ||
      typeof frame._version !== 'string'
    )
      return
    const session = String(frame.sessionId)
    if (frame.type === '@xstate.actor') {
      if (strangers.size >= MOST_STRANGERS || typeof frame.definition !== 'string') return
      const steps = [stepOf({ ...frame, event: undefined })]
      const name = String(frame.name ?? session)
      strangers.set(session, { definition: frame.definition, steps, name })
      list.meet(session, name, statusOf(frame))
      if (current === null) choose(session)
    } else if (frame.type === '@xstate.snapshot') {
      const stranger = strangers.get(session)
      if (stranger === undefined) return
      stranger.steps = [...stranger.steps, stepOf(frame)].slice(-500)
      list.meet(session, stranger.name, statusOf(frame))
      if (session === current) viewer.push(stepOf(frame))
    }
  })
  window.opener.postMessage({ type: '@statelyai.connected' }, '*')
}

form.addEventListener('submit', (event) => {
  event.preventDefault()
  useKey(document.querySelector('#key').value)
  location.reload()
})
addEventListener('hashchange', () => {
  const key = wanted()
  if (key !== null) choose(key)
})
if (window.opener) followOpener()
else followGateway()

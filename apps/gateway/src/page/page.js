// The page's heart: hears on the live channel what changes and draws it; where there is no channel it asks each second. It draws at most
// ten times a second, and only while somebody looks.
import { connect } from './channel.js'
import { drawDecisions, keepDecision, readDecisions, takeDecisions } from './decision-list.js'
import { setText } from './element.js'
import { drawFaults } from './fault-panel.js'
import { drawApps, drawRunners } from './fleet.js'
import { KeyWanted, read, readList, useKey } from './gateway.js'

const EVERY_MS = 1000
const DRAW_MS = 100
/** Ended runners are drawn for a minute; here they stay a little longer. */
const KEEP_MS = 120_000
const status = document.querySelector('#status')
const form = document.querySelector('#key-form')
const main = document.querySelector('main')
const runners = new Map()
const told = new Map()
let apps = []
let live = false
let looking = false
let drawing = 0
/** When the gateway last answered, and whether it still does: what is shown is from then. */
let answeredAt = null
let lost = false

/** Asks for everything. What is told meanwhile is newer than the answer. */
async function look() {
  looking = true
  try {
    const [asked, found] = await Promise.all([
      read('v1/apps'),
      readList('v1/runners', 'runners'),
      readDecisions(),
    ])
    take(asked.apps, found)
  } finally {
    looking = false
    told.clear()
  }
}

function take(asked, found) {
  apps = asked
  runners.clear()
  for (const runner of found) runners.set(runner.id, runner)
  for (const [id, runner] of told) runners.set(id, runner)
}

function draw() {
  clearTimeout(drawing)
  drawing = 0
  if (document.hidden || lost) return
  drawApps(apps)
  drawFaults(apps)
  const now = Date.now()
  for (const { id, state, since } of runners.values())
    if (state === 'terminated' && now - Date.parse(since) > KEEP_MS) runners.delete(id)
  drawRunners([...runners.values()], apps, now)
  drawDecisions()
  const count = [...runners.values()].filter(({ state }) => state !== 'terminated').length
  setText(
    status,
    `${count} runner${count === 1 ? '' : 's'} of ${apps.length} app${apps.length === 1 ? '' : 's'}`,
  )
}

/** It answers: what is drawn from now on is so. */
function answered() {
  answeredAt = new Date()
  lost = false
  status.classList.remove('lost')
  main.classList.remove('stale')
  form.hidden = true
}

/** It does not answer, or not to this key: what is shown stays, and says from when it is. */
function unanswered(error) {
  lost = true
  const asks = error instanceof KeyWanted
  const since = answeredAt === null ? '' : ` since ${answeredAt.toLocaleTimeString()}`
  setText(status, asks ? error.message : `The gateway does not answer${since}; trying again.`)
  status.classList.add('lost')
  main.classList.add('stale')
  form.hidden = !asks
}

/** With a channel only the apps' counters are asked for; they are in no event. */
async function loop() {
  if (!document.hidden) {
    try {
      if (live) apps = (await read('v1/apps')).apps
      else await look()
      answered()
      draw()
    } catch (error) {
      unanswered(error)
    }
  }
  setTimeout(loop, EVERY_MS)
}

const channel = connect('v1/realtime', {
  opened: (say) => say({ type: 'subscribe', topics: ['runners', 'decisions'] }),
  heard(message) {
    if (message.type === 'snapshot') {
      takeDecisions(message.decisions)
      // What ended while nobody told us is in the lists, not in the snapshot.
      look().then(
        () => {
          live = true
          answered()
          draw()
        },
        () => {},
      )
    } else if (message.topic === 'runners') {
      runners.set(message.data.id, message.data)
      if (looking) told.set(message.data.id, message.data)
    } else if (message.topic === 'decisions' && !keepDecision(message.data))
      readDecisions().then(draw, () => {})
    drawing ||= setTimeout(draw, DRAW_MS)
  },
  changed(state) {
    if (state !== 'open') live = false
  },
})

form.addEventListener('submit', (event) => {
  event.preventDefault()
  useKey(document.querySelector('#key').value)
  channel.retry()
})
void loop()

// The machines that can be chosen: what the live channel tells, or what a page that opened us shows. Ended ones stay for a minute.
import { element, follow, setText, short } from '../element.js'

const KEEP_MS = 60_000
const SHOWN = 100
const order = { node: 0, runner: 1, request: 2 }

/** A list; `chosen` gets `kind/id` when somebody chooses. */
export function createMachineList(chosen) {
  const machines = new Map()
  const parent = document.querySelector('#machines')
  const more = document.querySelector('#more')
  const find = document.querySelector('#find')
  let current = null
  find.addEventListener('input', draw)

  function put(kind, id, about, state, ended) {
    machines.set(`${kind}/${id}`, {
      key: `${kind}/${id}`,
      kind,
      id,
      about,
      state,
      endedAt: ended ? Date.now() : null,
    })
  }

  function draw() {
    const now = Date.now()
    for (const [key, { endedAt }] of machines)
      if (endedAt !== null && now - endedAt > KEEP_MS && key !== current) machines.delete(key)
    const wish = find.value.trim().toLowerCase()
    const fits = [...machines.values()]
      .filter(({ key, about, state }) => `${key} ${about} ${state}`.toLowerCase().includes(wish))
      .sort(
        (a, b) =>
          (a.endedAt !== null) - (b.endedAt !== null) ||
          (order[a.kind] ?? 3) - (order[b.kind] ?? 3) ||
          a.about.localeCompare(b.about) ||
          a.id.localeCompare(b.id),
      )
    follow(parent, fits.slice(0, SHOWN), ({ key }) => key, makeItem, updateItem)
    more.hidden = fits.length <= SHOWN
    setText(more, `${fits.length - SHOWN} more; find one by its id, app or state.`)
  }

  function makeItem({ key, id }) {
    const button = element(
      'button',
      { type: 'button', title: id },
      element('span', { className: 'id', textContent: short(id) }),
      element('small'),
    )
    button.addEventListener('click', () => chosen(key))
    return element('li', {}, button)
  }

  function updateItem(item, { key, kind, about, state, endedAt }) {
    const button = item.firstChild
    button.setAttribute('aria-current', String(key === current))
    setText(
      button.lastChild,
      [kind, about, endedAt === null ? state : `${state}, over`]
        .filter((word) => word !== '')
        .join(' · '),
    )
  }

  const take = {
    runners: (runner) =>
      put('runner', runner.id, runner.app, runner.substate, runner.substate === 'gone'),
    nodes: (node) => put('node', node.id, '', node.state, false),
    requests: (request) =>
      put('request', request.id, request.app, request.status, request.status === 'COMPLETED'),
  }
  return {
    /** Takes a message of the live channel. */
    hear(message) {
      if (message.type === 'snapshot') {
        // Who is not in it ended while nobody told us.
        for (const machine of machines.values()) machine.endedAt ??= Date.now()
        for (const topic of ['nodes', 'runners', 'requests'])
          for (const one of message[topic] ?? []) take[topic](one)
      } else if (message.type === 'event') take[message.topic]?.(message.data)
      draw()
    },
    /** Takes a machine that introduced itself by a frame, and its `status` whenever another frame tells it. */
    meet(session, name, state) {
      if (machines.get(session)?.state === state) return
      machines.set(session, {
        key: session,
        kind: 'machine',
        id: name,
        about: '',
        state,
        endedAt: state === 'active' || state === '' ? null : Date.now(),
      })
      draw()
    },
    choose(key) {
      current = key
      draw()
    },
    /** The key of a machine by its id alone. */
    find: (id) => [...machines.values()].find((machine) => machine.id === id)?.key ?? null,
    first: () =>
      [...machines.values()].find(({ kind, endedAt }) => kind === 'runner' && endedAt === null)
        ?.key ?? null,
    draw,
  }
}

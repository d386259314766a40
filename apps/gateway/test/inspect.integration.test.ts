// The inspector's frames from a real gateway, read by the receiver of the package whose protocol they follow, and drawn by XState itself.
import { once } from 'node:events'
import { createWebSocketReceiver, type StatelyInspectionEvent } from '@statelyai/inspect'
import { createMachine } from 'xstate'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import WebSocket from 'ws'
import { definitionOf, kinds, valueOf } from '../src/inspect-frame.ts'
import { RUNNER, startGateway, type RunningGateway } from './running-gateway.ts'

type Frame = Record<string, any>

const app = {
  command: ['node', RUNNER],
  startupTimeoutSeconds: 20,
  minConcurrency: 2,
  maxConcurrency: 2,
}

/** Frames as they came, and a way to wait for one. */
class Frames {
  readonly got: Frame[] = []
  #waiting = new Set<() => void>()

  readonly add = (frame: Frame): void => {
    this.got.push(frame)
    for (const look of this.#waiting) look()
  }

  first(fits: (frame: Frame) => boolean): Promise<Frame> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.got.find(fits)
        if (found === undefined) return
        this.#waiting.delete(look)
        resolve(found)
      }
      this.#waiting.add(look)
      look()
    })
  }
}

let gateway: RunningGateway
beforeAll(async () => {
  gateway = await startGateway({ apps: { 'test/echo': app } })
  await gateway.until(() => (ready().length === 2 ? true : null))
})
afterAll(() => gateway.close())

const ready = (): readonly string[] =>
  [...gateway.supervisor.fleet.runners.keys()].filter((id) => gateway.runner(id)?.state === 'ready')

/** Follows what is asked for with a plain socket. */
async function follow(query = ''): Promise<Frames & { close(): void }> {
  const frames = new Frames()
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/inspect${query}`)
  socket.on('message', (data: Buffer) => frames.add(JSON.parse(data.toString()) as Frame))
  await once(socket, 'open')
  return Object.assign(frames, { close: () => socket.terminate() })
}
const call = async (query = ''): Promise<string | null> => {
  const answer = await fetch(`${gateway.url}/run/test/echo${query}`, { method: 'POST' })
  await answer.text()
  return answer.headers.get('x-fal-served-from')
}

// First: the package's receiver cannot be told to leave.
test('with nobody connected it does not listen to the fleet', async () => {
  const listened: string[] = []
  const { supervisor } = gateway
  const observe = supervisor.observe.bind(supervisor)
  supervisor.observe = (listener) => {
    listened.push('on')
    const stop = observe(listener)
    return () => {
      listened.push('off')
      stop()
    }
  }
  try {
    const frames = await follow()
    await frames.first(() => true)
    frames.close()
    await gateway.until(() => (listened.includes('off') ? true : null))
    expect(listened).toEqual(['on', 'off'])
  } finally {
    supervisor.observe = observe
  }
})

test('a ping is answered, so that a silent gateway can be told from one that is gone', async () => {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/inspect?id=none`)
  await once(socket, 'open')
  socket.send('what is this')
  socket.send('{"type":"ping"}')
  const [data] = (await once(socket, 'message')) as [Buffer]
  expect(data.toString()).toBe('{"type":"pong"}')
  socket.terminate()
})

describe('conformance', () => {
  test('the package’s own receiver takes every frame', async () => {
    const frames = new Frames()
    const receiver = createWebSocketReceiver({
      server: `${gateway.url.replace('http', 'ws')}/v1/inspect`,
    })
    receiver.subscribe((event: StatelyInspectionEvent) => frames.add(event as Frame))
    await frames.first(({ type }) => type === '@xstate.actor')
    await call('?status=503')
    await frames.first(
      ({ type, snapshot }) => type === '@xstate.snapshot' && snapshot.status === 'done',
    )
    const types = new Set(frames.got.map(({ type }) => type as string))
    expect([...types].toSorted()).toEqual(['@xstate.actor', '@xstate.event', '@xstate.snapshot'])
    for (const frame of frames.got) {
      // What the browser receiver asks of a message, and what each frame of the package has.
      expect(frame).toMatchObject({
        type: expect.any(String) as string,
        _version: expect.any(String) as string,
        createdAt: expect.stringMatching(/^\d{13}$/) as string,
        sessionId: expect.any(String) as string,
        rootId: frame['sessionId'] as string,
      })
    }
    // Nobody is spoken of before being introduced.
    const introduced = new Set<string>()
    for (const { type, sessionId } of frames.got) {
      if (type === '@xstate.actor') introduced.add(sessionId as string)
      expect(introduced.has(sessionId as string)).toBe(true)
    }
  })

  test('XState builds each chart from its definition, and stands where a frame says', async () => {
    const frames = await follow()
    const actors = await Promise.all(
      ['runner', 'node'].map((kind) =>
        frames.first(
          ({ type, sessionId }) =>
            type === '@xstate.actor' && String(sessionId).startsWith(`${kind}/`),
        ),
      ),
    )
    frames.close()
    for (const { definition, snapshot } of actors) {
      const machine = createMachine(JSON.parse(String(definition)) as never)
      const state = machine.resolveState({ value: snapshot.value as never, context: {} })
      expect(state.value).toEqual(snapshot.value)
    }
  })

  test.for(kinds)('the definition of a %s is text of its chart, states in order', (kind) => {
    const machine = createMachine(JSON.parse(definitionOf(kind)) as never)
    expect(Object.keys(machine.states).length).toBeGreaterThan(3)
    expect(definitionOf(kind)).not.toContain('policy')
  })

  test.for([
    ['runner', 'idle', { serving: { duty: 'open', health: 'ready' } }],
    ['runner', 'busy+draining', { serving: { duty: 'draining', health: 'ready' } }],
    ['runner', 'failing', { serving: { duty: 'open', health: { suspect: 'failing' } } }],
    ['runner', 'stopping', { terminated: 'stopping' }],
    ['runner', 'gone', 'gone'],
    ['request', 'leased', 'leased'],
    ['node', 'draining', { draining: 'leaving' }],
    ['node', 'validating', { validating: 'checking' }],
    ['node', 'no such word', null],
  ] as const)('%s: the word %s', ([kind, word, value]) => {
    expect(valueOf(kind, word)).toEqual(value)
  })
})

describe('one of many', () => {
  test('only the runner that was asked for is shown, step by step to its end', async () => {
    await gateway.until(() => (ready().length === 2 ? true : null))
    const id = await call()
    const frames = await follow(`?id=${id}`)
    const [actor] = [await frames.first(({ type }) => type === '@xstate.actor')]
    expect(actor).toMatchObject({ sessionId: `runner/${id}`, name: id })
    // The other one is used and ended; the one that is watched has nothing to do with it.
    const other = ready().find((each) => each !== id)!
    gateway.supervisor.tell({ type: 'order.kill', runner: other, by: 'test', inFlight: 0 })
    gateway.supervisor.tell({ type: 'order.stop', runner: id!, by: 'test', inFlight: 0 })
    await frames.first(({ snapshot }) => snapshot?.status === 'done')
    frames.close()
    expect(new Set(frames.got.map(({ sessionId }) => sessionId as string))).toEqual(
      new Set([`runner/${id}`]),
    )
    const values = frames.got
      .filter(({ type }) => type === '@xstate.snapshot')
      .map(({ snapshot }) => JSON.stringify(snapshot.value))
    expect(values.filter((value, i) => value !== values[i - 1])).toEqual([
      '{"serving":{"duty":"open","health":"ready"}}',
      '{"terminated":"stopping"}',
      '"gone"',
    ])
    const rules = frames.got.flatMap(({ type, event }) =>
      type === '@xstate.event' && event.rule !== undefined ? [event.rule as string] : [],
    )
    expect(rules).toEqual(['order.stop', 'stop.exited'])
  })

  test('a sample takes no more than it asks for', async () => {
    await gateway.until(() => (ready().length === 2 ? true : null))
    const frames = await follow('?kind=runner&sample=1')
    await frames.first(({ type }) => type === '@xstate.snapshot')
    for (const id of ready())
      gateway.supervisor.tell({ type: 'order.check', runner: id, by: 'test', manual: false })
    await frames.first(({ type }) => type === '@xstate.event')
    frames.close()
    expect(new Set(frames.got.map(({ sessionId }) => sessionId as string)).size).toBe(1)
  })

  test('a request from the queue: queued, leased, delivered', async () => {
    const frames = await follow('?kind=request')
    const answer = await fetch(`${gateway.url}/queue/test/echo`, { method: 'POST' })
    const { request_id: id } = (await answer.json()) as { request_id: string }
    await frames.first(({ snapshot }) => snapshot?.status === 'done')
    frames.close()
    const values = frames.got
      .filter(({ type, sessionId }) => type === '@xstate.snapshot' && sessionId === `request/${id}`)
      .map(({ snapshot }) => snapshot.value as string)
    expect(values.at(-1)).toBe('delivered')
    expect(values).toContain('leased')
  })
})

// What the channel tells is enough: whoever puts it together knows of every runner what the fleet knows, after each step.
import {
  createFleet,
  step,
  views,
  type Fleet,
  type HealthEvent,
  type Observation,
} from '@health/core'
import { live, type WorldOptions } from '@health/testkit'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Topic } from '@health/realtime'
import { feedChannel } from '../src/channel-feed.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['queueMicrotask'] }))
afterEach(() => void vi.useRealTimers())

type Item = Readonly<Record<string, any>>

/** A subscriber of all topics of a fleet; it comes when it is made. */
class Subscriber {
  readonly runners = new Map<string, Item>()
  readonly told: (readonly [Topic, string | null, Item])[] = []
  #observe: (observation: Observation) => void = () => {}

  constructor(fleet: Fleet, topics: ReadonlySet<Topic> = new Set(['runners', 'decisions'])) {
    for (const { id, state, incarnation } of living(fleet))
      this.runners.set(id, { state, incarnation })
    const gateway = {
      fleet,
      clock: { wall: (at = fleet.now) => at },
      supervisor: {
        observe: (listener: (observation: Observation) => void) => {
          this.#observe = listener
          return () => {}
        },
      },
      queue: { entry: () => null },
      calls: { get: () => null },
    }
    feedChannel(
      gateway as never,
      { listen: () => () => {} } as never,
      {
        wants: (topic: Topic) => topics.has(topic),
        publish: (topic: Topic, app: string | null, data: Item) => {
          this.told.push([topic, app, data])
          if (topic === 'runners') this.runners.set(data['id'], data)
        },
      } as never,
    )
  }

  /** Hears what a step did, as a supervisor tells it: not at all when it gave nothing. */
  hear(event: HealthEvent, { seq, commands, decisions }: ReturnType<typeof step>): void {
    if (seq > 0 || commands.length > 0 || decisions.length > 0)
      this.#observe({ event, commands, decisions })
    vi.runAllTicks()
  }

  get living(): readonly string[] {
    return [...this.runners]
      .filter(([, { state }]) => state !== 'terminated')
      .map(([id, { state, incarnation }]) => `${id}.${incarnation} ${state}`)
      .toSorted()
  }
}

const living = (fleet: Fleet) => [...views(fleet)].filter(({ substate }) => substate !== 'gone')
const truth = (fleet: Fleet): readonly string[] =>
  living(fleet)
    .filter(({ state }) => state !== 'terminated')
    .map(({ id, incarnation, state }) => `${id}.${incarnation} ${state}`)
    .toSorted()

const app = (more: object = {}): WorldOptions['apps'][number]['options'] => ({
  healthCheck: { path: '/health', intervalSeconds: 5, timeoutSeconds: 2, startPeriodSeconds: 5 },
  startupTimeoutSeconds: 15,
  minConcurrency: 2,
  maxConcurrency: 8,
  keepAliveSeconds: 5,
  ...more,
})

test.for([1, 2, 3, 4])(
  'world %i: starts that fail, crashes, orders, reloads, servers that come back: nothing is missed',
  (seed) => {
    let subscriber: Subscriber | null = null
    let of: Fleet | null = null
    let backoffs = 0
    const wrong: string[] = []
    live({
      seed,
      until: 300_000,
      apps: [
        { id: 'a/one', options: app() },
        { id: 'a/two', options: app({ minConcurrency: 0, scalingDelaySeconds: 2 }) },
        { id: 'a/served', options: app(), urls: ['http://127.0.0.1:1', 'http://127.0.0.1:2'] },
      ],
      requestEveryMs: 300,
      badAnswers: 0.05,
      failedStarts: 0.5,
      refusedStarts: 0.1,
      hangs: 0.1,
      crashEveryMs: 10_000,
      orderEveryMs: 15_000,
      reloadEveryMs: 30_000,
      restartEveryMs: 80_000,
      watch: (fleet, event, result) => {
        // After a restart everybody asks for everything.
        if (of !== fleet) subscriber = new Subscriber((of = fleet))
        else subscriber!.hear(event, result)
        for (const { substate } of views(fleet)) if (substate === 'backoff') backoffs++
        const [known, is] = [subscriber!.living.join(), truth(fleet).join()]
        if (known !== is && wrong.length < 3) wrong.push(`${event.type}: ${known} for ${is}`)
      },
    })
    expect(wrong).toEqual([])
    expect(backoffs).toBeGreaterThan(100)
  },
)

const configured = (most: number, more: object = {}): HealthEvent => ({
  type: 'app.configured',
  at: 0,
  app: 'a/many',
  options: { minConcurrency: most, maxConcurrency: most, ...more },
  policy: {},
  revision: `r${most}`,
})

test('thousands that go in one step are all told as terminated, and of their app', () => {
  const fleet = createFleet({}, { seed: 1 })
  step(fleet, configured(1))
  const [first] = fleet.runners.keys()
  const subscriber = new Subscriber(fleet)
  const tell = (event: HealthEvent): void => subscriber.hear(event, step(fleet, event))
  // After a start that failed the others wait for theirs.
  tell({ type: 'setup.failed', at: 0, runner: first!, incarnation: 1, detail: '' })
  tell(configured(3000))
  tell({ type: 'process.exited', at: 0, runner: first!, incarnation: 1, code: 0, signal: null })
  expect(subscriber.living).toEqual(truth(fleet))
  expect(subscriber.living).toHaveLength(3000)
  tell({ type: 'app.removed', at: 1, app: 'a/many' })
  // The one whose start was tried again has to be ended first.
  expect(fleet.runners.size).toBe(1)
  const gone = [...subscriber.runners.values()].filter(({ substate }) => substate === 'gone')
  expect(gone.length).toBeGreaterThanOrEqual(3000)
  expect(subscriber.living).toEqual(truth(fleet))
  expect(subscriber.told.filter(([, of]) => of !== 'a/many')).toEqual([])
})

test('who asks for runners when others asked for decisions alone is told of those that come', () => {
  const fleet = createFleet({}, { seed: 1 })
  step(fleet, configured(1, { maxConcurrency: 5 }))
  const [first] = fleet.runners.keys()
  const topics = new Set<Topic>(['decisions'])
  const subscriber = new Subscriber(fleet, topics)
  const tell = (event: HealthEvent): void => subscriber.hear(event, step(fleet, event))
  tell({ type: 'setup.failed', at: 0, runner: first!, incarnation: 1, detail: '' })
  tell({ type: 'process.exited', at: 0, runner: first!, incarnation: 1, code: 0, signal: null })
  const before = fleet.runners.size
  topics.add('runners')
  const none = { runners: [], started: [], ended: [], served: [], inFlight: [] }
  tell({ type: 'traffic.counted', at: 0, app: 'a/many', ...none, waiting: 5, queued: 0 })
  const came = [...fleet.runners.keys()].slice(before)
  expect(came).toHaveLength(4)
  expect(came.filter((id) => !subscriber.runners.has(id))).toEqual([])
})

test('runners are told of again when an option of their app that they show is another', () => {
  const fleet = createFleet({}, { seed: 1 })
  step(fleet, configured(2))
  step(fleet, { ...configured(2), app: 'a/other' } as HealthEvent)
  const subscriber = new Subscriber(fleet)
  const event = configured(2, { startupTimeoutSeconds: 700 })
  subscriber.hear(event, step(fleet, event))
  expect(
    subscriber.told.map(([, app, data]) => [app, data['effectiveStartPeriodSeconds']]),
  ).toEqual([
    ['a/many', 700],
    ['a/many', 700],
  ])
})

test('nobody is told of what nobody wants', () => {
  const fleet = createFleet({}, { seed: 1 })
  const subscriber = new Subscriber(fleet, new Set())
  subscriber.hear(configured(3), step(fleet, configured(3)))
  expect(subscriber.told).toEqual([])
})

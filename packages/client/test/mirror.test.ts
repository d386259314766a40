import { expect, test } from 'vitest'
import { type ChannelEvent, Mirror, type Snapshot } from '../src/index.ts'

const snapshot = (parts: object): Snapshot => ({ type: 'snapshot', seq: 1, ...parts }) as Snapshot
const event = (topic: string, data: object): ChannelEvent =>
  ({ type: 'event', seq: 2, topic, at: '', data }) as ChannelEvent

test('a snapshot replaces its topics and leaves the others', () => {
  const mirror = new Mirror()
  mirror.apply(snapshot({ runners: [{ id: 'a' }, { id: 'b' }], nodes: [{ id: 'n' }] }))
  mirror.apply(snapshot({ runners: [{ id: 'c' }, { id: 'd', state: 'terminated' }] }))
  expect([...mirror.runners.keys()]).toEqual(['c'])
  expect([...mirror.nodes.keys()]).toEqual(['n'])
})

test.for([
  ['runners', { id: 'a', state: 'suspect' }, { id: 'a', state: 'terminated' }],
  ['requests', { id: 'a', status: 'IN_QUEUE' }, { id: 'a', status: 'COMPLETED' }],
] as const)('%s come, change and go', ([topic, now, ended]) => {
  const mirror = new Mirror()
  mirror.apply(event(topic, now))
  expect(mirror[topic].get('a')).toEqual(now)
  mirror.apply(event(topic, ended))
  expect(mirror[topic].size).toBe(0)
})

test('devices are known by their UUID', () => {
  const mirror = new Mirror()
  mirror.apply(snapshot({ gpu: [{ uuid: 'GPU-1', node: 'n' }] }))
  mirror.apply(event('gpu', { uuid: 'GPU-1', node: 'n', powerW: 100 }))
  expect([...mirror.gpu.values()]).toEqual([{ uuid: 'GPU-1', node: 'n', powerW: 100 }])
})

test('the last hundred decisions are kept, oldest first', () => {
  const mirror = new Mirror()
  mirror.apply(snapshot({ decisions: [{ seq: 0 }] }))
  for (let seq = 1; seq <= 150; seq++) mirror.apply(event('decisions', { seq }))
  expect(mirror.decisions.map(({ seq }) => seq)).toEqual([...Array(100).keys()].map((i) => i + 51))
})

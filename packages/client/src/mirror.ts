/** The fleet as a connection has heard of it: every object by its id, kept up to date. Ended runners and requests go; decisions are the last hundred. */
import type {
  ChannelEvent,
  Decision,
  FleetNode,
  FleetRequest,
  Objects,
  Runner,
  Snapshot,
} from './object.ts'

const DECISIONS = 100
/** Objects of a kind; a gateway sends fewer, and the oldest would go. */
const MOST = 100_000

/** A mirror of the fleet. Give it every snapshot and event. */
export class Mirror {
  readonly runners: Map<string, Runner> = new Map()
  readonly nodes: Map<string, FleetNode> = new Map()
  readonly requests: Map<string, FleetRequest> = new Map()
  /** By UUID. */
  readonly gpu: Map<string, Objects['gpu']> = new Map()
  /** Oldest first. */
  decisions: readonly Decision[] = []

  /** Takes what the channel said. */
  apply(message: Snapshot | ChannelEvent): void {
    if (message.type === 'snapshot') return this.#replace(message)
    switch (message.topic) {
      case 'runners':
        return put(this.runners, message.data.id, message.data, message.data.state === 'terminated')
      case 'nodes':
        return put(this.nodes, message.data.id, message.data, false)
      case 'requests':
        return put(
          this.requests,
          message.data.id,
          message.data,
          message.data.status === 'COMPLETED',
        )
      case 'gpu':
        return put(this.gpu, message.data.uuid, message.data, false)
      case 'decisions':
        this.decisions = [...this.decisions, message.data].slice(-DECISIONS)
    }
  }

  /** A snapshot says everything about its topics, and nothing about the others. */
  #replace(snapshot: Snapshot): void {
    const { runners, nodes, requests, gpu, decisions } = snapshot
    if (runners !== undefined)
      refill(
        this.runners,
        runners.filter(({ state }) => state !== 'terminated'),
      )
    if (nodes !== undefined) refill(this.nodes, nodes)
    if (requests !== undefined) refill(this.requests, requests)
    if (gpu !== undefined) {
      this.gpu.clear()
      for (const device of gpu) put(this.gpu, device.uuid, device, false)
    }
    if (decisions !== undefined) this.decisions = decisions.slice(-DECISIONS)
  }
}

function refill<T extends { readonly id: string }>(map: Map<string, T>, list: readonly T[]): void {
  map.clear()
  for (const item of list) put(map, item.id, item, false)
}

function put<T>(map: Map<string, T>, id: string, item: T, ended: boolean): void {
  if (ended) return void map.delete(id)
  map.set(id, item)
  if (map.size <= MOST) return
  const [oldest] = map.keys()
  map.delete(oldest!)
}

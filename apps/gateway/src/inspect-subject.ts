/** Reads the machines that the fleet keeps: where a runner, request or node stands in its chart, and the data beside it. It changes nothing. */
import { runnerOf, handleOf, NO_RUNNER, view, type QueueEntry } from '@health/core'
import type { CallEntry } from './call-log.ts'
import type { Gateway } from './gateway.ts'
import { valueOf, type Kind, type Stand } from './inspect-frame.ts'
import { isoOf, nodeObjects, requestObject } from './wire.ts'

/** The machine as it stands; null for one that nobody knows. */
export function standOf(gateway: Gateway, kind: Kind, id: string): Stand | null {
  switch (kind) {
    case 'runner':
      return runnerStand(gateway, id)
    case 'request': {
      const entry = gateway.queue.entry(id) ?? gateway.calls.get(id)
      return entry === null ? null : requestStand(entry)
    }
    case 'node':
      return nodeStand(gateway, id)
    default:
      return kind satisfies never
  }
}

function runnerStand({ fleet, clock }: Gateway, id: string): Stand | null {
  const record = fleet.runners.get(id)
  const seen = view(fleet, id)
  if (seen === null) return null
  const about = {
    app: seen.app,
    incarnation: seen.incarnation,
    word: seen.substate,
    inFlight: seen.inFlight,
    node: seen.node,
    pid: seen.pid,
    replaces: seen.replaces,
    lastProbe:
      seen.lastProbe === null
        ? null
        : { ...seen.lastProbe, at: isoOf(clock.wall(seen.lastProbe.at)) },
  }
  if (record === undefined || handleOf(fleet, id) === NO_RUNNER)
    return {
      kind: 'runner',
      id,
      value: 'gone',
      context: { ...about, reason: seen.reason },
      done: true,
    }
  // All of the chart's own data but the policy, which is the app's and has its own place.
  const { policy: _, startedAt, struckAt, ...context } = record.context
  return {
    kind: 'runner',
    id,
    value: record.configuration.value,
    context: {
      ...about,
      ...context,
      url: runnerOf(fleet, handleOf(fleet, id)).url,
      startedAt: startedAt > 0 ? isoOf(clock.wall(startedAt)) : null,
      struckAt: struckAt > 0 ? isoOf(clock.wall(struckAt)) : null,
    },
    done: record.configuration.final,
  }
}

/** Where a request stands; its chart's last states are read from its answer. */
export function requestStand(entry: QueueEntry | CallEntry): Stand {
  const { id: _, ...context } = requestObject(entry)
  const status = 'status' in entry ? entry.status : 'COMPLETED'
  const { final } = entry
  const value =
    status === 'IN_QUEUE'
      ? 'queued'
      : status === 'IN_PROGRESS' || final === null
        ? 'leased'
        : final.errorType === 'client_cancelled'
          ? 'cancelled'
          : final.errorType === null
            ? 'delivered'
            : 'rejected'
  return { kind: 'request', id: entry.id, value, context, done: status === 'COMPLETED' }
}

function nodeStand(gateway: Gateway, id: string): Stand | null {
  const node = nodeObjects(gateway).find((each) => each['id'] === id)
  if (node === undefined) return null
  const { id: _, ...context } = node
  const state = String(node['state'])
  return {
    kind: 'node',
    id,
    value: valueOf('node', state),
    context,
    done: false,
  }
}

/** Machines to begin with, when none is named: nodes, the requests that are open, runners. At most `most`, each kind its share. */
export function* livingOnes(
  gateway: Gateway,
  wanted: ReadonlySet<Kind>,
  most: number,
): Iterable<Stand> {
  let left = most
  if (wanted.has('node')) {
    for (const node of nodeObjects(gateway).slice(0, Math.ceil(most / 4))) {
      left--
      yield nodeStand(gateway, String(node['id']))!
    }
  }
  if (wanted.has('request')) {
    for (const entry of gateway.queue.open?.(Math.ceil(most / 4)) ?? []) {
      if (left-- <= 0) return
      yield requestStand(entry)
    }
  }
  if (!wanted.has('runner')) return
  for (const id of gateway.fleet.runners.keys()) {
    if (left-- <= 0) return
    const stand = runnerStand(gateway, id)
    if (stand !== null) yield stand
  }
}

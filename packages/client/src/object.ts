/** The objects of the channel as they come over the wire; the same as those of the HTTP API. Times are ISO dates. */

/** A runner. */
export interface Runner {
  readonly id: string
  readonly app: string
  readonly incarnation: number
  readonly state: 'starting' | 'ready' | 'suspect' | 'terminated'
  readonly substate: string
  readonly falState: string
  readonly suspect: boolean
  readonly accepting: boolean
  readonly reason: string | null
  readonly since: string
  readonly inFlight: number
  readonly node: string
  readonly url: string
  readonly pid: number | null
  readonly startedAt: string | null
  readonly failures: number
  readonly effectiveStartPeriodSeconds: number
  readonly lastProbe: {
    readonly at: string
    readonly kind: string
    readonly ok: boolean
    readonly status: number | null
    readonly error: string | null
    readonly latencyMs: number
  } | null
  readonly replaces: string | null
}

/** A GPU. A value that is not reported is absent. */
export interface Device {
  readonly uuid: string
  readonly index?: number
  readonly name?: string
  readonly state: string
  readonly runner: string | null
  readonly temperatureC?: number
  readonly marginC?: number
  readonly smClockMHz?: number
  readonly maxSmClockMHz?: number
  readonly throttle?: readonly string[]
  readonly powerW?: number
  readonly memoryUsedMiB?: number
  readonly utilisationPercent?: number
  readonly lastXid?: number
}

/** A machine that hosts runners. */
export interface FleetNode {
  readonly id: string
  readonly state: string
  readonly cordonedBy: string | null
  readonly since: string
  readonly runners: readonly string[]
  readonly devices: readonly Device[]
}

/** A request. */
export interface FleetRequest {
  readonly id: string
  readonly app: string
  readonly mode: 'queue' | 'run' | 'stream' | 'realtime'
  readonly status: 'IN_QUEUE' | 'IN_PROGRESS' | 'COMPLETED'
  readonly submittedAt: string
  readonly position: number | null
  readonly priority: string
  readonly attempts: readonly {
    readonly n: number
    readonly runner: string
    readonly startedAt: string
    readonly endedAt: string
    readonly outcome: string
    readonly status: number | null
    readonly rule: string
    readonly condition: string | null
  }[]
  readonly final: {
    readonly status: number
    readonly error_type: string | null
    readonly at: string
  } | null
}

/** Why something was or was not done. */
export interface Decision {
  readonly seq: number
  readonly at: string
  readonly subject: {
    readonly kind: 'runner' | 'request' | 'node'
    readonly id: string
    readonly incarnation: number
  }
  readonly from: string
  readonly to: string
  readonly rule: string
  readonly compared: readonly {
    readonly name: string
    readonly value: number
    readonly op: string
    readonly threshold: number
    readonly option: string | null
  }[]
  readonly enforced: boolean
  readonly because: string | null
  readonly commands: readonly string[]
  readonly events: readonly number[]
}

/** The object of each topic. `gpu`: a device with the node it is in. */
export interface Objects {
  readonly runners: Runner
  readonly nodes: FleetNode
  readonly requests: FleetRequest
  readonly decisions: Decision
  readonly gpu: Device & { readonly node: string }
}

/** Name of a topic. */
export type Topic = keyof Objects

/** All that is there now, of the topics subscribed. */
export type Snapshot = {
  readonly type: 'snapshot'
  readonly seq: number
  /** Why it comes in place of events. */
  readonly because?: 'expired' | 'behind'
} & { readonly [T in Topic]?: readonly Objects[T][] }

/** One object as it is now. */
export type ChannelEvent = {
  [T in Topic]: {
    readonly type: 'event'
    readonly seq: number
    readonly topic: T
    readonly at: string
    readonly data: Objects[T]
  }
}[Topic]

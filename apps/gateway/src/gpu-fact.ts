/** The configuration of our one node as a fact for the fleet. What becomes of it is the core's to decide. */
import { LOCAL, nodeTunables, type NodeEvent } from '@health/core'
import type { Config } from './config.ts'

type NodeConfigured = Omit<Extract<NodeEvent, { type: 'node.configured' }>, 'at' | 'seq'>

/** Names of the policy that nodes are judged by, beside their own tunables. */
const shared = ['drainTimeoutSeconds', 'healthyDelaySeconds', 'dryRun'] as const
/** Silence of telemetry shorter than this says nothing, in seconds. */
const STALLED_SECONDS = 30

/** The fact that our node is configured so. `boot`: the machine's boot id, when it has one. */
export function nodeFact(config: Config, boot?: string): NodeConfigured {
  const { gpu } = config
  const names: readonly string[] = [...Object.keys(nodeTunables), ...shared]
  const told = Object.entries(config.policy).filter(([name]) => names.includes(name))
  return {
    type: 'node.configured',
    node: LOCAL,
    devices: [],
    canReset: gpu.resetCommand !== null,
    canReboot: gpu.rebootCommand !== null,
    canValidate: gpu.validateCommand !== null || gpu.dcgmDiagLevel > 0,
    ...(boot !== undefined && { boot }),
    policy: {
      telemetryStalledSeconds: Math.max(STALLED_SECONDS, 3 * gpu.intervalSeconds),
      ...Object.fromEntries(told),
      ...(gpu.xid !== null && { xid: gpu.xid }),
    },
  }
}

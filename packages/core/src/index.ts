export { checkOverridden, globalPolicyOf, prepare as checkOptionsOf } from './configure.ts'
export { createFleet, nextDue, step, type StepResult } from './fleet.ts'
export type {
  AttemptEnded,
  EventType,
  HealthEvent,
  Millis,
  Mode,
  OutcomeHeaders,
  ProbeFailure,
  ProbeKind,
} from './event.ts'
export { checkEvent } from './event-check.ts'
export { type EventShape, eventShapes, type FieldKind, objectShapes } from './event-shape.ts'
export type { DeviceSample, NodeEvent } from './node-event.ts'
export {
  type AlertName,
  alerts,
  type Command,
  type CommandType,
  type Reason,
  reasons,
} from './command.ts'
export type { Compared, Decision, Subject } from './decision.ts'
export { type Fleet, NO_RUNNER, type RunnerHandle } from './state.ts'
export {
  countTraffic,
  demand,
  demandChanged,
  demandOf,
  free,
  handleOf,
  hints,
  inFlight,
  judge,
  place,
  runnerOf,
  turn,
} from './load.ts'
export {
  apps,
  appView,
  type AppView,
  goneView,
  openOrders,
  policyOf,
  processes,
  type RunnerView,
  startPending,
  view,
  views,
  whyUnserved,
} from './view.ts'
export { runnerStates, runnerWords } from './word.ts'
export { restore, snapshot } from './snapshot.ts'
export { beginSnapshot, type SnapshotWriter } from './snapshot-writer.ts'
export { type Snapshot } from './snapshot-row.ts'
export { conditionOf, type Disposition, dispose, requestMachine } from './request.ts'
export { type Ended, NEW_RECORD, type RequestRecord } from './retry.ts'
export {
  BY_RUNNER,
  judged,
  MAX_RETRY_AFTER_MS,
  type OutcomeName,
  outcomeOf,
  type OutcomeRow,
  outcomes,
  readOutcomeHeaders,
  unjudgedPaths,
} from './outcome.ts'
export { runnerMachine, type RunnerContext, type Verdict } from './runner.ts'
export { type AppOptions, appOptions, type RetryCondition, retryConditions } from './app-option.ts'
export { type HealthCheckOptions, healthCheckOptions } from './health-check-option.ts'
export { allowed, checkOption, checkOptions, nearest, type OptionSpec } from './option.ts'
export { quote } from './quote.ts'
export {
  checkHealthCheck,
  immediateRules,
  type Policy,
  policyWarnings,
  resolvePolicy,
} from './policy.ts'
export { type PolicyOptions, tunables } from './tunable.ts'
export {
  checkXidOverrides,
  type NodePolicy,
  type NodeTunable,
  nodeTunables,
  resolveNodePolicy,
} from './node-policy.ts'
export {
  LOCAL,
  type NodeEffect,
  type NodePlace,
  Nodes,
  type NodesEnv,
  type NodesStep,
} from './nodes.ts'
export {
  nodeMachine,
  type NodeContext,
  type NodeState,
  nodeStates,
  type NodeVerdict,
} from './node.ts'
export type { DeviceError, DeviceState, DeviceView, NodeEvidence, NodeView } from './node-view.ts'
export { lastingNodeAlerts } from './node-view.ts'
export { assess, createMemory, type DeviceMemory } from './gpu.ts'
export {
  type SignalLine,
  type SignalRule,
  signalTable,
  throttleBits,
  throttleReasons,
} from './gpu-signal.ts'
export { checkDevices, deviceFields } from './gpu-shape.ts'
export { isAmdDevice, visibleDevices } from './gpu-visible.ts'
export { type XidLine, xidTable } from './xid-table.ts'
export {
  RECOVERY_XID,
  type ActionClass,
  actionClasses,
  announcedRecovery,
  classifyXid,
  type RecoveryAction,
  recoveryAction,
  recoveryActions,
  recoveryClasses,
} from './xid.ts'
export { targetOf } from './successor.ts'
export {
  decodeHeader,
  decodeLine,
  encodeHeader,
  encodeLine,
  JOURNAL_FORMAT,
  type JournalHeader,
} from './journal.ts'
export { FactReader } from './fact-reader.ts'
export { compile } from './compile.ts'
export { interpret } from './interpret.ts'
export type { Configuration, Effect, Performance, Plan, Start, Step, Table } from './table.ts'
export { chance, hashText } from './chance.ts'
export { HealthError, type ErrorCode, errorCodes } from './error.ts'
export type {
  AttemptLine,
  Cancel,
  Clock,
  FinalAnswer,
  Host,
  HostFact,
  Journal,
  Launch,
  Lease,
  Observation,
  Prober,
  ProbeOrder,
  ProbeResult,
  ProcessRecord,
  ProvisionOrder,
  Queue,
  QueueEntry,
  Submission,
  Telemetry,
} from './port.ts'
export { conclude, explain, type Explanation, type History, type Link } from './explain.ts'
export { describe, tellDecision } from './describe.ts'
export { beginSearch, type Counterfactual, type Search } from './nearest-policy.ts'
export { beginProof, type Numbers, type Proof, stands } from './proof.ts'
export { mayTurn } from './tunable-number.ts'
export { type Recording, replay, type Replay } from './replay.ts'
export { beginWhatIf, type WhatIf, whatIf, type WhatIfCounts, type WhatIfResult } from './whatif.ts'
export { type Afterwards, type Fate, fates, type Life, type Stretch } from './whatif-life.ts'
export { type Change, moves, type Moves, readChange } from './whatif-change.ts'
export type { Ending } from './shadow.ts'
export { type Rule, type RuleName, rules } from './rule.ts'
export { type CommandShape, commandShapes } from './command-shape.ts'
export { type EscalationEvidence, type GoneRunner, type Register, takeEvidence } from './state.ts'

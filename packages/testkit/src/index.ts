export { ManualClock } from './manual-clock.ts'
export { SystemClock } from './system-clock.ts'
export { queueContract, type ContractOptions, type MakeQueue } from './queue-contract.ts'
export type { QueueHint } from './queue-stage.ts'
export { sampleAnswer, sampleLine, sampleRecord, sampleSubmission } from './queue-sample.ts'
export { FakeHost, type FakeLife, type HostOrder } from './fake-host.ts'
export { FakeProber, type FakeAnswer } from './fake-prober.ts'
export { hostContract, type HostBench } from './host-contract.ts'
export { proberContract, type ProberBench } from './prober-contract.ts'
export {
  Scenario,
  type ScenarioFact,
  type ScenarioOptions,
  type ScenarioTraffic,
} from './scenario.ts'
export { journalContract, type JournalBench } from './journal-contract.ts'
export { audit } from './audit.ts'
export { relive, type Relive } from './relive.ts'
export { live, World } from './world.ts'
export type { Sickness, WorldApp, WorldOptions, WorldRun, WorldRunner } from './world-options.ts'
export { type Queued, Traffic, type TrafficOptions } from './world-traffic.ts'

export { createTelemetry, type GpuTelemetry, type TelemetryOptions } from './telemetry.ts'
export {
  type Choice,
  chooseSources,
  type Look,
  type SourceName,
  sourceNames,
  type SourceSettings,
} from './choice.ts'
export {
  type NodeCommand,
  type Outcome,
  Remediation,
  type RemediationOptions,
  type RemedyPort,
} from './remediation.ts'
export { type CommandLine, type CommandPortOptions, createCommandPort } from './command-port.ts'
export { type DiagLevel, type DiagOptions, runDiag } from './dcgm-diag.ts'
export { bootId } from './kernel-log.ts'
export { gpuMetrics } from './gauge.ts'
export type { Sighting, Source, SourceOptions } from './source.ts'

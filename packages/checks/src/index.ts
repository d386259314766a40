export { createCheckup, checkupOptionNames, type Checkup, type CheckupOptions } from './checkup.ts'
export {
  createEndpoints,
  endpointOptionNames,
  type EndpointOptions,
  type Endpoints,
  type HealthRequest,
  type HealthResponse,
} from './endpoint.ts'
export {
  fetchHandler,
  nodeHandler,
  serveHealth,
  type HealthServer,
  type ListenOptions,
  type NodeHandler,
} from './handler.ts'
export { CheckFailure, codeOf, failureCodes, type FailureCode } from './failure.ts'
export {
  invalid,
  readSeconds,
  refuseUnknown,
  type CheckAnswer,
  type CheckContext,
  type CheckFunction,
  type CheckOptions,
  type CheckSettings,
} from './option.ts'
export type { Change } from './history.ts'
export type { Info, InfoValue } from './info.ts'
export type { Release, Shutdown, ShutdownOptions } from './lifecycle.ts'
export type { AlertMessage, AlertOptions } from './alert.ts'
export type { Log, WatchOptions } from './watch.ts'
export type { Meter } from './metric.ts'
export {
  asksForHealthCheck,
  declarationWarnings,
  declareHealthCheck,
  healthCheckHeader,
  wellKnownPath,
  type HealthCheckDeclaration,
  type HealthCheckOptions,
} from './declaration.ts'
export {
  answerError,
  isGpuFault,
  RunnerError,
  runnerErrors,
  type RunnerAnswer,
  type RunnerErrorKind,
  type RunnerErrorOptions,
} from './runner-error.ts'
export { Pressure, type OverloadOptions, type Pressed } from './pressure.ts'
export { checkUrl, type UrlCheck } from './check-url.ts'
export { checkCommand, checkExitCodes, checkUsage, type CommandOutput } from './check-command.ts'

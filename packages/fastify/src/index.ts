import './augmentation.ts'

export { health, type Asker, type HealthOptions } from './health.ts'
export { shutdown, type SignalOptions } from './shutdown.ts'
export { runnerErrorHandler } from './error-handler.ts'
export {
  asksForHealthCheck,
  CheckFailure,
  healthCheckHeader,
  RunnerError,
  type Checkup,
  type CheckFunction,
  type CheckOptions,
  type HealthCheckDeclaration,
  type HealthCheckOptions,
} from '@health/checks'

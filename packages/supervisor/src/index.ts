export { ensureDataDirectory } from './data-directory.ts'
export { startSupervisor, type Supervisor, type SupervisorStats } from './supervisor.ts'
export type { ControlProbe, JournalBounds, SupervisorOptions } from './option.ts'
export type { Alert } from './engine.ts'
export type { Untimed } from './fact.ts'
export type { History } from './history.ts'
export type { Log, LogLine } from './line.ts'
export {
  createSystemClock,
  type Gap,
  type ObservedClock,
  type SystemClockOptions,
} from './system-clock.ts'
export { journalStart, readJournal, type JournalEnd, type JournalGap } from './journal-tail.ts'

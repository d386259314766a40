export { createMemoryQueue } from './memory-queue.ts'
export { createSqliteQueue, type SqliteQueueOptions } from './sqlite-queue.ts'
export type { QueueLimits } from './limit.ts'

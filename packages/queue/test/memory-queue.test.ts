/** The queue in memory keeps the contract of the port. */
import { queueContract } from '@health/testkit'
import { createMemoryQueue } from '../src/index.ts'

queueContract('memory', ({ place: _, ...limits }) => createMemoryQueue(limits), { durable: false })

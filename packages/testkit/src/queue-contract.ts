/**
 * What every backend of the port `Queue` must do, as tests: run it on each one. It uses nothing but the port, so that it says
 * the same of a queue in memory, on a disk or on a server.
 */
import type { Queue } from '@health/core'
import { afterEach, describe, expect, test } from 'vitest'
import { describeEnds, describeReopening } from './queue-end-contract.ts'
import { describeLeases } from './queue-lease-contract.ts'
import { describeQuarantine } from './queue-quarantine-contract.ts'
import { queueModelRun } from './queue-model.ts'
import type { QueueHint, StartQueue } from './queue-stage.ts'

/** How a test gets a queue. */
export type MakeQueue = (hint: QueueHint) => Queue | Promise<Queue>

/** What is special about a backend. */
export interface ContractOptions {
  /** false leaves out the tests that open a queue again. */
  readonly durable: boolean
  /** Random operations that are compared with a model. Default 10 000. */
  readonly operations?: number
}

/** Declares the contract's tests for one backend. */
export function queueContract(
  name: string,
  make: MakeQueue,
  options: ContractOptions = { durable: true },
): void {
  describe(`${name} keeps the contract of Queue`, () => {
    const open = new Set<Queue>()
    let places = 0
    const start: StartQueue = async (hint = {}) => {
      const queue = await make({ place: `contract-${++places}`, ...hint })
      open.add(queue)
      return queue
    }
    afterEach(async () => {
      for (const queue of open) await queue.close()
      open.clear()
    })

    describeLeases(start)
    describeEnds(start)
    describeQuarantine(start, options.durable)
    if (options.durable) describeReopening(start)

    test('random operations leave what a simple model says', async () => {
      const seen = await queueModelRun({
        seed: 7,
        operations: options.operations ?? 10_000,
        open: () => start({ place: 'model', maxLength: 150 }),
        reopenEvery: options.durable ? (options.operations ?? 10_000) / 4 : Infinity,
      })
      // The run must have met every operation and both answers of those that can be refused.
      expect(Object.values(seen).every((count) => count > 0)).toBe(true)
    }, 120_000)
  })
}

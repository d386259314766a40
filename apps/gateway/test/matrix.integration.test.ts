// Semantics 4 and 5 as a matrix: every status, direct and queued, with every control header and request wish, against real
// runner processes. What is expected is read from the table of outcomes and the order of authority, row by row.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outcomeOf, outcomes, retryConditions } from '@health/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RUNNER, startGateway, type RunningGateway } from './running-gateway.ts'

const statuses = [200, 302, 404, 422, 429, 499, 500, 502, 503, 504, 599]
const flags = [undefined, '1', '0'] as const
const once = mkdtempSync(join(tmpdir(), 'matrix-'))

let gateway: RunningGateway
beforeAll(async () => {
  mkdirSync(once, { recursive: true })
  const app = (more: object): object => ({
    command: ['node', RUNNER],
    env: { ONCE_DIR: once },
    startupTimeoutSeconds: 30,
    minConcurrency: 4,
    maxConcurrency: 4,
    terminationGraceSeconds: 1,
    ...more,
  })
  gateway = await startGateway({
    policy: { retryBaseSeconds: 0.01, retryMaxSeconds: 0.02 },
    apps: {
      'matrix/plain': app({}),
      'matrix/skip': app({ skipRetryConditions: [...retryConditions] }),
    },
  })
})
afterAll(async () => {
  await gateway.close()
  rmSync(once, { recursive: true, force: true })
})

interface Row {
  readonly status: number
  readonly stop: '0' | '1' | undefined
  readonly retry: '0' | '1' | undefined
}
const rows: readonly Row[] = statuses.flatMap((status) =>
  flags.flatMap((stop) => flags.map((retry) => ({ status, stop, retry }))),
)

const query = ({ status, stop, retry }: Row): string =>
  `?once&status=${status}${stop === undefined ? '' : `&x-fal-stop-runner=${stop}`}${retry === undefined ? '' : `&x-fal-needs-retry=${retry}`}`

/** What the seeds say of the runner. */
function reasonFor({ status, stop }: Row): string | null {
  if (stop === '1') return 'stop_header'
  if (stop === '0') return null
  return outcomes[outcomeOf(status)].reason
}

async function expectFate(runner: string, row: Row): Promise<void> {
  const reason = reasonFor(row)
  // A TCP check may be under way; a port that is open acquits.
  const settled = reason === null ? ['ready', 'terminated'] : ['terminated']
  const seen = await gateway.until(() => {
    const now = gateway.runner(runner)
    return now !== null && settled.includes(now.state) ? now : null
  })
  // Spared here, it may have met another row since, and ended by that one's rule.
  expect(reason === null ? [null, 'stop_header', 'server_error'] : [reason]).toContain(seen.reason)
}

describe.concurrent('direct calls are passed on as they are and never tried again', () => {
  test.for(rows)('$status, stop $stop, needs-retry $retry', async (row, { expect }) => {
    const response = await fetch(`${gateway.url}/run/matrix/plain/${query(row)}`, {
      redirect: 'manual',
    })
    expect(response.status).toBe(row.status)
    expect(response.headers.get('x-fal-stop-runner')).toBeNull()
    expect(response.headers.get('x-fal-needs-retry')).toBeNull()
    expect(await response.json()).toMatchObject({ method: 'GET' })
    await expectFate(response.headers.get('x-fal-served-from')!, row)
  })
})

const queued = rows.flatMap((row) =>
  [false, true].flatMap((skip) => [false, true].map((noRetry) => ({ ...row, skip, noRetry }))),
)

/** Semantics 5, points 2, 5, 7 and 8. */
function triedAgain(row: (typeof queued)[number]): boolean {
  if (row.noRetry) return false
  if (row.retry !== undefined) return row.retry === '1'
  const { condition } = outcomes[outcomeOf(row.status)]
  return condition !== null && !row.skip
}

describe.concurrent('queued requests have one final answer, by the order of authority', () => {
  test.for(queued)(
    '$status, stop $stop, needs-retry $retry, skip list $skip, no-retry $noRetry',
    async (row, { expect }) => {
      const app = row.skip ? 'matrix/skip' : 'matrix/plain'
      const response = await fetch(`${gateway.url}/queue/${app}/${query(row)}`, {
        method: 'POST',
        body: '{}',
        headers: {
          'content-type': 'application/json',
          ...(row.noRetry && { 'x-fal-no-retry': '1' }),
        },
      })
      const { request_id: id, response_url: url } = (await response.json()) as Record<
        string,
        string
      >
      const entry = await gateway.until(() => {
        const found = gateway.queue.entry(id!)
        return found?.status === 'COMPLETED' ? found : null
      })
      const again = triedAgain(row)
      expect(entry.attempts.map((line) => line.status)).toEqual(
        again ? [row.status, 200] : [row.status],
      )
      expect(entry.final?.status).toBe(again ? 200 : row.status)
      expect(entry.attempts[0]).toMatchObject({
        n: 1,
        outcome: outcomeOf(row.status),
        rule: row.stop === '1' ? 'outcome.stop_header' : `outcome.${outcomeOf(row.status)}`,
      })
      const result = await fetch(url!, { redirect: 'manual' })
      expect(result.status).toBe(again ? 200 : row.status)
      expect(result.headers.get('x-fal-needs-retry')).toBeNull()
      await expectFate(entry.attempts[0]!.runner, row)
    },
  )
})

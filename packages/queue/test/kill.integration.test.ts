/** kill -9 at any moment: what was acknowledged is there afterwards, and nothing is answered twice. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { createSqliteQueue } from '../src/index.ts'

const root = mkdtempSync(join(tmpdir(), 'health-queue-'))
afterAll(() => rmSync(root, { recursive: true }))

/** Lets the child work until it has said this many lines, kills it, and gives all that it was told. */
async function workAndKill(dir: string, round: number, lines: number): Promise<readonly string[]> {
  const script = fileURLToPath(new URL('child/work.ts', import.meta.url))
  const log = join(root, `acknowledged-${round}`)
  const child = spawn(
    process.execPath,
    [
      '--conditions=@health/source',
      '--disable-warning=ExperimentalWarning',
      script,
      dir,
      String(round),
      log,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let said = 0
  child.stdout.on('data', (dots: Buffer) => {
    said += dots.length
    if (said >= lines) child.kill('SIGKILL')
  })
  const [, signal] = (await once(child, 'close')) as [number | null, string | null]
  expect(signal).toBe('SIGKILL')
  return readFileSync(log, 'utf8').split('\n').slice(0, -1)
}

// Spread over the life of a process: while it opens, at its first commit, in the middle of groups, and around moves of the log.
const moments = [1, 2, 61, 347, 1_103, 2_719, 5_021, 9_973]

test('after every kill each acknowledged request is there, and each acknowledged answer once', async () => {
  const dir = join(root, 'killed')
  const submitted = new Set<string>()
  const completed = new Map<string, string>()
  for (const [round, lines] of moments.entries()) {
    const doubled: string[] = []
    for (const line of await workAndKill(dir, round, lines)) {
      const [what, id = '', token = ''] = line.split(' ')
      if (what === 'submitted') submitted.add(id)
      if (what !== 'completed') continue
      if (completed.has(id)) doubled.push(id)
      completed.set(id, token)
    }
    expect(doubled).toEqual([])

    const queue = await createSqliteQueue({ dir })
    expect([...submitted].filter((id) => queue.entry(id) === null)).toEqual([])
    expect([...completed.keys()].filter((id) => queue.entry(id)?.status !== 'COMPLETED')).toEqual(
      [],
    )
    const answers = await Promise.all([...completed.keys()].map((id) => queue.result(id)))
    expect(answers.map((answer) => new TextDecoder().decode(answer?.body))).toEqual([
      ...completed.values(),
    ])
    // A request that was requeued once has two lines, and each line has its own number.
    const logs = [...completed.keys()].map(
      (id) => queue.entry(id)?.attempts.map((line) => line.n) ?? [],
    )
    expect(logs.filter((log) => log.some((n, at) => n !== at + 1))).toEqual([])
    const left = await queue.lease('demo/echo', 1_000_000, 1, 2)
    expect(left.filter((lease) => completed.has(lease.request.id))).toEqual([])
    for (const lease of left) await queue.release(lease.request.id, lease.fence)
    await queue.close()
  }
  expect(completed.size).toBeGreaterThan(1_000)
}, 120_000)

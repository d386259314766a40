/** Which files the queue opens, who may open them, and that nothing of it stays behind. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { sampleAnswer, sampleLine, sampleSubmission } from '@health/testkit'
import { afterAll, expect, test } from 'vitest'
import { createSqliteQueue } from '../src/index.ts'

const root = mkdtempSync(join(tmpdir(), 'health-queue-'))
afterAll(() => rmSync(root, { recursive: true }))
let folders = 0
const folder = (): string => join(root, String(++folders))

/** A queue's folder after some work. */
async function used(requests = 3): Promise<string> {
  const dir = folder()
  const queue = await createSqliteQueue({ dir })
  await Promise.all(
    Array.from({ length: requests }, (_, n) =>
      queue.submit(sampleSubmission(`r${n}`, { body: new Uint8Array(3_000).fill(n) })),
    ),
  )
  await queue.close()
  return dir
}

function change(dir: string, sql: string): void {
  const db = new DatabaseSync(join(dir, 'queue.db'))
  db.exec(sql)
  db.close()
}

const damages: readonly {
  readonly what: string
  readonly damage: (dir: string) => void
  readonly says: RegExp
}[] = [
  {
    what: 'of a newer version',
    damage: (dir) => change(dir, 'PRAGMA user_version = 7'),
    says: /format 7.*up to 2/,
  },
  {
    what: 'of another program',
    damage: (dir) => change(dir, 'PRAGMA application_id = 1'),
    says: /not a queue/,
  },
  {
    what: 'that is text',
    damage: (dir) =>
      writeFileSync(
        join(dir, 'queue.db'),
        'not a database at all, though long enough to have a header of its own, which is a hundred bytes long',
      ),
    says: /not a queue/,
  },
  {
    what: 'that was emptied beside its log',
    damage: (dir) => {
      writeFileSync(join(dir, 'queue.db-wal'), 'what was accepted last')
      truncateSync(join(dir, 'queue.db'), 0)
    },
    says: /is empty, and its log is not/,
  },
  {
    what: 'that was cut',
    damage: (dir) => truncateSync(join(dir, 'queue.db'), 8_192),
    says: /queue\.db/,
  },
  {
    what: 'with a row that cannot be read',
    damage: (dir) => change(dir, `UPDATE request SET head = '["r1"' WHERE seq = 2`),
    says: /cannot be read/,
  },
  {
    what: 'without its table',
    damage: (dir) => change(dir, 'DROP TABLE content'),
    says: /content/,
  },
]

test.for(damages)('a file $what is refused by name', async ({ damage, says }) => {
  const dir = await used(200)
  damage(dir)
  await expect(createSqliteQueue({ dir })).rejects.toMatchObject({
    name: 'HealthError',
    code: 'HEALTH_QUEUE_FORMAT',
    message: expect.stringMatching(says),
  })
})

test('a folder that cannot be made or written is refused by name', async () => {
  const file = join(root, 'file')
  writeFileSync(file, '')
  await expect(createSqliteQueue({ dir: join(file, 'inside') })).rejects.toMatchObject({
    code: 'HEALTH_DATA_DENIED',
  })
  const dir = folder()
  mkdirSync(join(dir, 'queue.db'), { recursive: true })
  await expect(createSqliteQueue({ dir })).rejects.toMatchObject({ code: 'HEALTH_DATA_DENIED' })
})

test('a queue that is open is refused to others, in this process and in another, until it is closed', async () => {
  const dir = folder()
  const first = await createSqliteQueue({ dir })
  await expect(createSqliteQueue({ dir })).rejects.toMatchObject({ code: 'HEALTH_DATA_LOCKED' })
  expect(await childOpens(dir)).toBe('HEALTH_DATA_LOCKED')
  await first.submit(sampleSubmission('a'))
  await first.close()
  expect(await childOpens(dir)).toBe('opened 1')
})

test('the folder and the files are for their owner alone', async () => {
  const dir = folder()
  const queue = await createSqliteQueue({ dir })
  await queue.submit(sampleSubmission('a'))
  const mode = (path: string): number => statSync(path).mode & 0o777
  expect([mode(dir), mode(join(dir, 'queue.db')), mode(join(dir, 'queue.db-wal'))]).toEqual([
    0o700, 0o600, 0o600,
  ])
  await queue.close()
  chmodSync(join(dir, 'queue.db'), 0o644)
  await (await createSqliteQueue({ dir })).close()
  expect(mode(join(dir, 'queue.db'))).toBe(0o600)
})

/** Opens the queue in another process, which ends by itself once it has closed it. */
async function childOpens(dir: string): Promise<string> {
  const script = fileURLToPath(new URL('child/open.ts', import.meta.url))
  const child = spawn(
    process.execPath,
    ['--conditions=@health/source', '--disable-warning=ExperimentalWarning', script, dir],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  expect(code).toBe(0)
  return said.trim()
}

test('a file of format 1 is opened: what it holds waits, is answered and can be put back as before', async () => {
  const dir = folder()
  const bodies = { waits: 3_000, small: 100, large: 300_000, poison: 500 }
  let queue = await createSqliteQueue({ dir })
  for (const [id, size] of Object.entries(bodies))
    await queue.submit(sampleSubmission(id, { body: new Uint8Array(size).fill(1) }))
  const answers = new Map<string, Uint8Array>()
  for (const { request, fence } of await queue.lease('demo/echo', 4, 1, 100)) {
    if (request.id === 'waits') {
      await queue.release(request.id, fence)
      continue
    }
    answers.set(request.id, new Uint8Array(answers.size + 1).fill(2))
    const more =
      request.id === 'poison' ? { status: 503, cause: 'retry.poison' as const } : { status: 200 }
    await queue.complete(
      request.id,
      fence,
      sampleLine(1),
      sampleAnswer(5, { body: answers.get(request.id)!, ...more }),
    )
  }
  await queue.close()
  change(
    dir,
    `UPDATE request SET tail = (SELECT tail FROM answer WHERE answer.seq = request.seq) WHERE standing > 1;
    REPLACE INTO content SELECT answer.seq, bytes FROM answer JOIN request USING(seq) WHERE standing = 2;
    INSERT INTO content SELECT -seq, bytes FROM answer WHERE seq IN (SELECT seq FROM request WHERE standing = 3);
    DROP TABLE answer;
    PRAGMA user_version = 1`,
  )

  for (const start of ['the first', 'another']) {
    queue = await createSqliteQueue({ dir })
    for (const [id, body] of answers)
      expect([start, id, (await queue.result(id))?.body]).toEqual([start, id, body])
    await queue.close()
  }
  queue = await createSqliteQueue({ dir })
  expect(await queue.revive('poison')).toBe('queued')
  const leases = await queue.lease('demo/echo', 4, 1, 100)
  expect(leases.map(({ request }) => [request.id, request.body.length])).toEqual([
    ['waits', 3_000],
    ['poison', 500],
  ])
  expect(await queue.sweep(9)).toBe(2)
  expect(await queue.result('small')).toBeNull()
  await queue.close()
})

test('when used: no file and no thread before the first request, and an unused queue leaves none behind', async () => {
  const dir = folder()
  let threads = 0
  const count = (): void => void threads++
  process.on('worker', count)
  try {
    const unused = await createSqliteQueue({ dir, whenUsed: true })
    expect(await unused.lease('demo/echo', 1, 1, 2)).toEqual([])
    expect(await unused.sweep(9)).toBe(0)
    await unused.close()
    expect([existsSync(dir), threads]).toEqual([false, 0])
    const queue = await createSqliteQueue({ dir, whenUsed: true })
    await queue.submit(sampleSubmission('first'))
    await queue.close()
    expect([existsSync(join(dir, 'queue.db')), threads]).toEqual([true, 1])
    const again = await createSqliteQueue({ dir, whenUsed: true })
    expect(again.entry('first')).toMatchObject({ status: 'IN_QUEUE' })
    await again.close()
  } finally {
    process.off('worker', count)
  }
})

test('when used: what is wrong with the folder is told by requests, until it is right', async () => {
  const dir = folder()
  writeFileSync(dir, 'a file in the way')
  const queue = await createSqliteQueue({ dir, whenUsed: true })
  await expect(queue.submit(sampleSubmission('early'))).rejects.toMatchObject({
    code: 'HEALTH_STORAGE_FAILED',
    message: expect.stringContaining(dir),
  })
  expect(queue.entry('early')).toBeNull()
  rmSync(dir)
  while (queue.failure !== null) await new Promise((resolve) => setTimeout(resolve, 5))
  await queue.submit(sampleSubmission('late'))
  await queue.close()
})

test('when used: a file that was put there meanwhile is read, and nothing in it is written over', async () => {
  const source = await used(2)
  const dir = folder()
  const queue = await createSqliteQueue({ dir, whenUsed: true })
  cpSync(source, dir, { recursive: true })
  await expect(queue.submit(sampleSubmission('early'))).rejects.toMatchObject({
    code: 'HEALTH_STORAGE_FAILED',
  })
  while (queue.failure !== null) await new Promise((resolve) => setTimeout(resolve, 5))
  await queue.submit(sampleSubmission('late'))
  expect(['r0', 'r1', 'early', 'late'].map((id) => queue.entry(id)?.status)).toEqual([
    'IN_QUEUE',
    'IN_QUEUE',
    undefined,
    'IN_QUEUE',
  ])
  await queue.close()
})

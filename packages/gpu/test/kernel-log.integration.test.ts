/** The kernel's log from a file that grows: from its end on, through rotation, and when it is not there. */
import {
  appendFileSync,
  mkdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { ManualClock, SystemClock } from '@health/testkit'
import { KernelLog } from '../src/kernel-log.ts'
import { lineageOf } from '../src/process-lineage.ts'
import { fileOf, folder, removeFolders } from './recordings.ts'
import { Telling } from './telling.ts'

afterAll(removeFolders)

const line = (xid: number): string => `NVRM: Xid (PCI:0000:1a:00): ${xid}, pid=77, name=x, words\n`
const opened: KernelLog[] = []

function open(path: string, processes = '/nonexistent'): { clock: ManualClock; telling: Telling } {
  const clock = new ManualClock()
  const telling = new Telling()
  const source = new KernelLog({ clock, intervalMs: 10_000, path, boot: 'boot-1', processes })
  opened.push(source)
  source.start(telling.tell)
  return { clock, telling }
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((source) => source.close()))
})

test('what was there before is an old story; what comes is told once, in order', async () => {
  const path = fileOf([line(31).trim()])
  const { clock, telling } = open(path)
  appendFileSync(path, line(79) + line(48))
  await clock.pass(1_000)
  expect(telling.of('xid').map(({ xid }) => xid)).toEqual([79, 48])
  expect(telling.of('xid')[0]).toMatchObject({ device: 'pci:0000:1a:00', pid: 77, text: 'words' })
  const [first, second] = telling.of('xid')
  expect(second!.sequence).toBeGreaterThan(first!.sequence)
  await clock.pass(5_000)
  expect(telling.all).toHaveLength(2)
})

test('a line that is written in pieces is one line', async () => {
  const path = fileOf([])
  const { clock, telling } = open(path)
  appendFileSync(path, line(79).slice(0, 20))
  await clock.pass(1_000)
  expect(telling.all).toEqual([])
  appendFileSync(path, line(79).slice(20))
  await clock.pass(1_000)
  expect(telling.of('xid').map(({ xid }) => xid)).toEqual([79])
})

test.for([
  [
    'replaced',
    (path: string) => {
      renameSync(path, `${path}.1`)
      writeFileSync(path, line(95))
    },
  ],
  [
    'cut',
    (path: string) => {
      truncateSync(path)
      appendFileSync(path, line(95))
    },
  ],
] as const)(
  'a log that was %s is read from its beginning, and is another one',
  async ([, change]) => {
    const path = fileOf(['x'.repeat(500)])
    const { clock, telling } = open(path)
    appendFileSync(path, line(48))
    await clock.pass(1_000)
    change(path)
    for (let turn = 0; turn < 4; turn++) {
      await clock.pass(500)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await clock.pass(500)
    const [before, after] = telling.of('xid')
    expect([before?.xid, after?.xid]).toEqual([48, 95])
    expect(after?.boot).not.toBe(before?.boot)
  },
)

test('a log that is not there is a failure of the source; it goes on when it appears', async () => {
  const path = fileOf([])
  unlinkSync(path)
  const { clock, telling } = open(path)
  expect(telling.of('failed')).toEqual([
    { type: 'failed', why: 'exited', detail: `${path}: ENOENT` },
  ])
  await clock.pass(30_000)
  expect(telling.of('failed')).toHaveLength(1)
  writeFileSync(path, 'hello\n')
  await clock.pass(20_000)
  expect(telling.of('recovered')).toHaveLength(1)
})

const unreadable = KernelLog.unreadable()
if (unreadable !== null) console.log(`skipped: the machine's own kernel log, ${unreadable}`)

test.skipIf(unreadable !== null)(
  'the real device is read without blocking, and nothing old is told',
  async () => {
    const telling = new Telling()
    const source = new KernelLog({ clock: new SystemClock(), intervalMs: 1_000 })
    const begun = performance.now()
    source.start(telling.tell)
    await source.close()
    expect(performance.now() - begun).toBeLessThan(5_000)
    expect(telling.of('xid')).toEqual([])
  },
)

describe('the process that the driver names', () => {
  /** A table of processes: `[pid, parent, group, session]`. */
  function table(
    namespace: string,
    ...processes: (readonly [number, number, number, number])[]
  ): string {
    const root = folder()
    mkdirSync(join(root, 'self', 'ns'), { recursive: true })
    symlinkSync(namespace, join(root, 'self', 'ns', 'pid'))
    for (const [pid, ...above] of processes) {
      mkdirSync(join(root, String(pid)))
      writeFileSync(
        join(root, String(pid), 'stat'),
        `${pid} (a) b) S ${above.join(' ')} 0 -1 4194304\n`,
      )
    }
    return root
  }
  const inContainer = (root: string, place: string): string => {
    writeFileSync(join(root, 'self', 'cgroup'), '0::/system.slice/health.service\n')
    writeFileSync(join(root, '77', 'cgroup'), `${place}\n`)
    return root
  }
  const HOST = 'pid:[4026531836]'
  const family = [
    [77, 70, 75, 75],
    [70, 60, 60, 60],
    [60, 50, 60, 60],
    [50, 1, 50, 50],
  ] as const

  test.for<[name: string, root: () => string, lineage: number[] | undefined]>([
    ['comes with those above it', () => table(HOST, ...family), [75, 70, 60, 50]],
    ['may be a child of init', () => table(HOST, [77, 1, 77, 77]), []],
    ['may be gone', () => table(HOST, [50, 1, 50, 50]), undefined],
    ['may have lost those above it', () => table(HOST, [77, 70, 77, 70]), [70]],
    ['never ends in a circle', () => table(HOST, [77, 70, 77, 77], [70, 77, 70, 70]), [70]],
    [
      'may be in a container of its own, which nobody of ours is above',
      () => inContainer(table(HOST, ...family), '0::/system.slice/docker-ab12.scope'),
      undefined,
    ],
    [
      'may be in our own container',
      () => {
        const root = inContainer(table(HOST, ...family), '0::/kubepods/pod1/c1')
        writeFileSync(join(root, 'self', 'cgroup'), '0::/kubepods/pod1/c1\n')
        return root
      },
      [75, 70, 60, 50],
    ],
    [
      'may be in a slice that is no container',
      () => inContainer(table(HOST, ...family), '0::/user.slice/session-1.scope'),
      [75, 70, 60, 50],
    ],
    ['is another one inside a container', () => table('pid:[4026532001]', ...family), undefined],
  ])('%s', async ([, root, lineage]) => {
    const path = fileOf([])
    const { clock, telling } = open(path, root())
    appendFileSync(path, line(31))
    await clock.pass(1_000)
    const [xid] = telling.of('xid')
    expect([xid?.pid, xid?.lineage]).toEqual([77, lineage])
  })

  test('a process of ours is found above its children', () => {
    const [parent] = lineageOf(process.pid)!.filter((pid) => pid === process.ppid)
    expect(parent).toBe(process.ppid)
    expect(lineageOf(2 ** 30)).toBeNull()
  })
})

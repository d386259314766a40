import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { readMemory, readProcessors } from '../src/cgroup.ts'
import { cpu } from '../src/check/cpu.ts'
import { disk } from '../src/check/disk.ts'
import { eventLoop } from '../src/check/event-loop.ts'
import { file } from '../src/check/file.ts'
import { gpuMemory, type GpuMemoryOptions } from '../src/check/gpu-memory.ts'
import { heap } from '../src/check/heap.ts'
import { lastSuccess } from '../src/check/last-success.ts'
import { memory } from '../src/check/memory.ts'
import { processAlive } from '../src/check/process-alive.ts'
import { queueDepth } from '../src/check/queue-depth.ts'
import { rss } from '../src/check/rss.ts'
import { sqlite } from '../src/check/sqlite.ts'
import { ask, failed, healthy, observe, warned } from './stub/ask.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'health-checks-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function write(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
  return path
}

describe('disk', () => {
  test.for([
    [{}, { minFreePercent: 0, warnFreePercent: 0 }, healthy],
    [{}, { minFreePercent: 0, warnFreePercent: 100 }, warned('too_small')],
    [{}, { minFreePercent: 100, warnFreePercent: 100 }, failed('too_small')],
    [{}, { minFreePercent: 0, warnFreePercent: 0, minFreeBytes: 2 ** 60 }, failed('too_small')],
    [{ path: '/nowhere/at/all' }, {}, failed('not_found')],
  ] as const)('%j %j', async ([where, limits, expected]) => {
    expect(await ask(disk({ path: folder, ...where, ...limits }))).toEqual(expected)
  })
})

describe('memory of a container', () => {
  const two = (current: number, max: string, idle = 0) => ({
    'memory.current': `${current}\n`,
    'memory.max': `${max}\n`,
    'memory.stat': `anon 5\ninactive_file ${idle}\nactive_file 7\n`,
  })
  const one = (usage: number, limit: string, idle = 0) => ({
    'memory/memory.usage_in_bytes': `${usage}\n`,
    'memory/memory.limit_in_bytes': `${limit}\n`,
    'memory/memory.stat': `inactive_file 1\ntotal_inactive_file ${idle}\n`,
  })
  test.for<[string, Record<string, string>, unknown]>([
    ['version 2', two(900, '1000'), { used: 900, limit: 1000 }],
    ['version 2, idle cache is not used', two(900, '1000', 400), { used: 500, limit: 1000 }],
    ['version 2 without limit', two(900, 'max'), { used: 900, limit: null }],
    ['version 1', one(900, '1000', 300), { used: 600, limit: 1000 }],
    ['version 1 without limit', one(900, '9223372036854771712'), { used: 900, limit: null }],
    ['none', {}, null],
  ])('%s', async ([name, files, expected]) => {
    for (const [path, text] of Object.entries(files)) await write(`${name}/${path}`, text)
    expect(await readMemory(join(folder, name))).toEqual(expected)
  })

  test.for<[number, unknown]>([
    [500, healthy],
    [900, warned('over_limit')],
    [990, failed('over_limit')],
  ])('%d of 1000', async ([used, expected]) => {
    for (const [path, text] of Object.entries(two(used, '1000')))
      await write(`used-${used}/${path}`, text)
    expect(await ask(memory({ cgroup: join(folder, `used-${used}`) }))).toEqual(expected)
  })

  test('without a limit the machine counts', async () => {
    const all = { cgroup: join(folder, 'nowhere') }
    expect(await ask(memory({ ...all, maxPercent: 100, warnPercent: 100 }))).toEqual(healthy)
    expect(await ask(memory({ ...all, maxPercent: 0 }))).toEqual(failed('over_limit'))
  })

  test.for<[string, Record<string, string>, number | null]>([
    ['cpu.max', { 'cpu.max': '150000 100000\n' }, 1.5],
    ['cpu.max without limit', { 'cpu.max': 'max 100000\n' }, null],
    ['cfs', { 'cpu/cpu.cfs_quota_us': '50000\n', 'cpu/cpu.cfs_period_us': '100000\n' }, 0.5],
    [
      'cfs without limit',
      { 'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.cfs_period_us': '100000\n' },
      null,
    ],
    ['no cpu group', {}, null],
  ])('processors: %s', async ([name, files, expected]) => {
    for (const [path, text] of Object.entries(files)) await write(`${name}/${path}`, text)
    expect(await readProcessors(join(folder, name))).toBe(expected)
  })
})

describe('this process', () => {
  test.for([
    ['rss', rss({ maxBytes: 2 ** 50 }), healthy],
    ['rss over a warning', rss({ maxBytes: 2 ** 50, warnBytes: 1 }), warned('over_limit')],
    ['rss over its limit', rss({ maxBytes: 1 }), failed('over_limit')],
    ['heap', heap({ maxPercent: 100, warnPercent: 100 }), healthy],
    ['heap over its limit', heap({ maxPercent: 0 }), failed('over_limit')],
  ] as const)('%s', async ([, check, expected]) => {
    expect(await ask(check)).toEqual(expected)
  })

  test('a late event loop is noticed, and only once', async () => {
    const check = eventLoop({
      maxDelaySeconds: 0.1,
      warnDelaySeconds: 0.1,
      warnUtilizationPercent: 100,
    })
    const call = () => check.check({ signal: new AbortController().signal })
    await new Promise((resolve) => setTimeout(resolve, 60))
    const until = performance.now() + 300
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(call()).toMatchObject({
      status: 'unhealthy',
      error: 'over_limit',
      observed: { unit: 'ms' },
    })
    // What was measured is forgotten: nothing has happened since.
    expect(call()).toMatchObject({ status: 'healthy' })
  })

  test('cpu compares with the last run', async () => {
    const check = cpu({ maxPercent: 0.0001, cgroup: folder })
    const call = () => check.check({ signal: new AbortController().signal })
    expect(await call()).toEqual({ status: 'healthy' })
    const until = performance.now() + 30
    while (performance.now() < until);
    expect(await call()).toMatchObject({ status: 'unhealthy', error: 'over_limit' })
  })
})

describe('gpuMemory', () => {
  // A program of our own in the place of nvidia-smi, which answers as that one does.
  const smi = (devices: string, processes = '', code = 0) =>
    write(
      `smi-${Math.abs(hash(devices + processes + code))}.mjs`,
      `const what = process.argv.find((arg) => arg.startsWith('--query'))
       process.stdout.write(what.startsWith('--query-gpu') ? ${JSON.stringify(devices)} : ${JSON.stringify(processes)})
       process.exitCode = ${code}`,
    )
  const apps = '4711, 1000\n4712, 500\n'
  test.for<[string, Omit<GpuMemoryOptions, 'command'>, [string, string?, number?], unknown]>([
    ['two devices', {}, ['1000, 81559\n5, 81559\n'], healthy],
    ['one nearly full', {}, ['1000, 81559\n78500, 81559\n'], warned('over_limit')],
    ['one full', {}, ['1000, 81559\n81500, 81559\n'], failed('over_limit')],
    [
      'a process over its limit',
      { pid: 4711, maxProcessBytes: 2 ** 29 },
      ['1000, 81559\n', apps],
      failed('over_limit'),
    ],
    [
      'a process below its limit',
      { pid: 4712, maxProcessBytes: 2 ** 29 },
      ['1000, 81559\n', apps],
      healthy,
    ],
    ['a device that reports nothing', {}, ['[N/A], [N/A]\n'], failed('unexpected_answer')],
    ['no device', {}, [''], failed('not_found')],
    ['no such device', { device: 9 }, ['No devices were found\n', '', 6], failed('not_found')],
    ['a driver that is gone', {}, ['', '', 9], failed('not_supported')],
  ])('%s', async ([, options, [devices, processes, code], expected]) => {
    const script = await smi(devices, processes, code)
    const check = gpuMemory({ ...options, command: [process.execPath, script], timeoutSeconds: 30 })
    expect(await ask(check)).toEqual(expected)
  })

  test('without the program it is not supported', async () => {
    expect(await ask(gpuMemory({ command: ['no-such-program'] }))).toEqual(failed('not_supported'))
  })
})

describe('file', () => {
  beforeAll(async () => {
    const path = await write('report.txt', 'four')
    const old = Date.now() / 1000 - 100
    await utimes(path, old, old)
  })
  test.for([
    [{}, healthy],
    [{ kind: 'file' }, healthy],
    [{ kind: 'folder' }, failed('not_found')],
    [{ maxAgeSeconds: 200 }, healthy],
    [{ maxAgeSeconds: 50 }, failed('too_old')],
    [{ minBytes: 4, maxBytes: 4 }, healthy],
    [{ minBytes: 5 }, failed('too_small')],
    [{ maxBytes: 3 }, failed('too_large')],
    [{ path: '/nowhere' }, failed('not_found')],
  ] as const)('%j', async ([options, expected]) => {
    expect(await ask(file({ path: join(folder, 'report.txt'), ...options }))).toEqual(expected)
  })
})

describe('processAlive', () => {
  test('a child, its pid and a pid file, before and after its end', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
      stdio: 'ignore',
    })
    await once(child, 'spawn')
    const pid = child.pid!
    const pidFile = await write('child.pid', `${pid}\n`)
    const checks = [{ child }, { pid }, { pidFile }]
    for (const options of checks) expect(await ask(processAlive(options))).toEqual(healthy)
    child.kill('SIGKILL')
    await once(child, 'exit')
    for (const options of checks)
      expect(await ask(processAlive(options))).toEqual(failed('not_running'))
  })

  test.for([
    ['-1', 'not_found'],
    ['0', 'not_found'],
    ['nonsense', 'not_found'],
  ])('a pid file that says %s', async ([text, error]) => {
    const pidFile = await write(`odd-${text}.pid`, text!)
    expect(await ask(processAlive({ pidFile }))).toEqual(failed(error!))
  })
})

test('lastSuccess grows old until the job succeeds', async () => {
  vi.useFakeTimers()
  try {
    const job = lastSuccess({ maxAgeSeconds: 100, warnAgeSeconds: 50 })
    const seen: unknown[] = []
    for (const step of [0, 60, 60]) {
      vi.advanceTimersByTime(step * 1000)
      seen.push(await ask(job.check))
    }
    job.succeeded()
    seen.push(await ask(job.check))
    expect(seen).toEqual([healthy, warned('too_old'), failed('too_old'), healthy])
  } finally {
    vi.useRealTimers()
  }
})

describe('queueDepth', () => {
  const limits = { warn: 10, max: 100, maxOldestSeconds: 60 }
  test.for([
    [5, 0, healthy],
    [50, 0, warned('over_limit')],
    [500, 0, failed('over_limit')],
    [5, 61, failed('over_limit')],
    [Number.NaN, 0, failed('unexpected_answer')],
  ] as const)('%d waiting, the oldest %d s', async ([depth, oldest, expected]) => {
    const options = { ...limits, depth: () => depth, oldestSeconds: async () => oldest }
    expect(await ask(queueDepth(options))).toEqual(expected)
  })

  test('what it counted is observed', async () => {
    expect(await observe(queueDepth({ depth: () => 7 }))).toEqual({ value: 7, unit: 'count' })
  })
})

describe('sqlite', () => {
  test('a file, a connection, no file, and something else', async () => {
    const path = join(folder, 'data.sqlite')
    const database = new DatabaseSync(path)
    database.exec('create table a (b)')
    expect(await ask(sqlite({ path }))).toEqual(healthy)
    expect(await ask(sqlite({ database }))).toEqual(healthy)
    expect(await ask(sqlite({ database, query: 'select * from gone' }))).toEqual(failed('failed'))
    database.exec('begin exclusive')
    expect(await ask(sqlite({ path }))).toEqual(failed('locked'))
    database.close()
    expect(await ask(sqlite({ database }))).toEqual(failed('failed'))
    expect(await ask(sqlite({ path: join(folder, 'none.sqlite') }))).toEqual(failed('not_found'))
    const other = await write(
      'other.sqlite',
      'not a database, but long enough to be looked at'.repeat(20),
    )
    expect(await ask(sqlite({ path: other }))).toEqual(failed('failed'))
  })
})

describe('what factories refuse', () => {
  test.for<[string, () => unknown, string]>([
    [
      'an unknown option',
      () => disk({ minFreePercents: 5 } as never),
      'Did you mean "minFreePercent"?',
    ],
    ['a share above 100', () => memory({ maxPercent: 101 }), 'memory.maxPercent'],
    ['a limit that is missing', () => rss({} as never), 'rss.maxBytes'],
    ['a device that is none', () => gpuMemory({ device: '0; rm -rf /' }), 'gpuMemory.device'],
    ['two ways to name a process', () => processAlive({ pid: 1, pidFile: 'x' }), 'needs one of'],
    ['no database', () => sqlite({}), 'needs `database` or `path`'],
  ])('%s', ([, make, text]) => {
    expect(make).toThrow(text)
  })
})

function hash(text: string): number {
  let value = 0
  for (const letter of text) value = (value * 31 + letter.charCodeAt(0)) | 0
  return value
}

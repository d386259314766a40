/**
 * GPU memory: the used share of each device, and what processes hold of it, as `nvidia-smi` reports it. It touches no GPU
 * itself, so it disturbs no inference; without the program it is `not_supported`.
 */
import { CheckFailure } from '../failure.ts'
import { atMost, complete, number, run, split, worst } from '../measure.ts'
import { invalid, type CheckOptions, type CheckSettings } from '../option.ts'

export interface GpuMemoryOptions {
  /** Index or UUID of a device, or default all. */
  readonly device?: number | string
  /** Used share of a device above which it is unhealthy. Default 98. */
  readonly maxPercent?: number
  /** Used share above which it is degraded. Default 95. */
  readonly warnPercent?: number
  /** Most that this process, or the one named by `pid`, may hold on all devices. */
  readonly maxProcessBytes?: number
  /** Default this process. Inside a container the driver may number processes differently, and then finds none. */
  readonly pid?: number
  /** Program and first arguments. Default `nvidia-smi`. */
  readonly command?: readonly [string, ...string[]]
}

const mebibyte = 1_048_576

const known = {
  device: true,
  maxPercent: true,
  warnPercent: true,
  maxProcessBytes: true,
  pid: true,
  command: true,
} as const satisfies Record<keyof GpuMemoryOptions, true>

/** A check of GPU memory. */
export function gpuMemory(options: GpuMemoryOptions & CheckSettings = {}): CheckOptions {
  const { own, settings } = split<GpuMemoryOptions>('gpuMemory', options, known)
  const { maxPercent = 98, warnPercent = 95, device, maxProcessBytes, pid = process.pid } = own
  number(maxPercent, 'gpuMemory.maxPercent', 0, 100)
  number(warnPercent, 'gpuMemory.warnPercent', 0, 100)
  number(maxProcessBytes, 'gpuMemory.maxProcessBytes', 1)
  if (device !== undefined && !/^(\d+|GPU-[0-9a-fA-F-]+)$/.test(String(device)))
    throw invalid('gpuMemory.device', 'must be an index or a UUID')
  const [program, ...first] = own.command ?? ['nvidia-smi']
  const only = device === undefined ? [] : [`--id=${device}`]
  const query = async (what: string, signal: AbortSignal) => {
    const args = [...first, ...only, what, '--format=csv,noheader,nounits']
    const { code, stdout } = await run(program, args, signal)
    // 6 is "no such device"; whatever else fails is the driver's.
    if (code !== 0) throw new CheckFailure(code === 6 ? 'not_found' : 'not_supported')
    return rows(stdout)
  }
  return complete(settings, async ({ signal }) => {
    const [devices, held] = await Promise.all([
      query('--query-gpu=memory.used,memory.total', signal),
      maxProcessBytes === undefined ? [] : query('--query-compute-apps=pid,used_memory', signal),
    ])
    if (devices.length === 0) throw new CheckFailure('not_found')
    const limits = { max: maxPercent, warn: warnPercent }
    const answers = devices.map(([used = NaN, total = NaN]) => {
      if (!(total > 0)) throw new CheckFailure('unexpected_answer')
      return atMost((100 * used) / total, 'percent', limits)
    })
    if (maxProcessBytes !== undefined) {
      const mine = held.filter(([owner]) => owner === pid)
      const bytes = mine.reduce((sum, [, mebibytes = 0]) => sum + mebibytes * mebibyte, 0)
      if (Number.isNaN(bytes)) throw new CheckFailure('not_supported')
      answers.push(atMost(bytes, 'bytes', { max: maxProcessBytes }))
    }
    return worst(answers)
  })
}

/** Rows of numbers; a field that is not a number (`[N/A]`) is NaN. */
function rows(csv: string): number[][] {
  const lines = csv.split('\n').filter((line) => line.trim() !== '')
  return lines.map((line) => line.split(',').map((field) => Number.parseFloat(field)))
}

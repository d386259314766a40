/**
 * Which source is used: the one that is named, or the best that works here, with a sentence about each that was looked at. It
 * tries a source by reading one sample, and leaves nothing running.
 */
import { execFile } from 'node:child_process'
import { HealthError, type Clock } from '@health/core'
import { Amd, amdWays, sampleSysfs, sampleTool } from './amd.ts'
import { Dcgm, DCGM_URL, fetchText } from './dcgm.ts'
import { isWanted, readDcgm } from './dcgm-sample.ts'
import { KernelLog, type KernelLogOptions } from './kernel-log.ts'
import { NvidiaSmi, type NvidiaSmiOptions } from './nvidia-smi.ts'
import { Nvml, type NvmlOptions } from './nvml.ts'
import { readMetrics } from './prometheus.ts'
import { Replay, type ReplayOptions } from './replay.ts'
import { brief, type Source } from './source.ts'
import { toolEnvironment } from './tool-environment.ts'

/** Names of sources in the configuration. */
export const sourceNames = [
  'auto',
  'nvml',
  'nvidia-smi',
  'dcgm',
  'kernel-log',
  'amd',
  'replay',
  'none',
] as const
/** One of {@link sourceNames}. */
export type SourceName = (typeof sourceNames)[number]

/** What the sources need beside clock and interval; all optional but `replay.file` for `replay`. */
export interface SourceSettings {
  readonly clock: Clock
  readonly intervalMs: number
  /** Gives up looking: nobody wants to know any more. */
  readonly signal?: AbortSignal
  readonly nvml?: Pick<NvmlOptions, 'library' | 'env' | 'silenceMs'>
  readonly nvidiaSmi?: Pick<NvidiaSmiOptions, 'program' | 'args' | 'silenceMs'>
  readonly dcgm?: { readonly url?: string }
  /** False: never joined to another source. */
  readonly kernelLog?: Pick<KernelLogOptions, 'path' | 'boot' | 'after' | 'processes'> | false
  readonly amd?: {
    readonly program?: string
    readonly args?: readonly string[]
    readonly sysfs?: string
  }
  readonly replay?: Pick<ReplayOptions, 'file' | 'speed' | 'repeat'>
}

/** What was looked at, and what was found; or why nobody looked. */
export interface Look {
  readonly source: SourceName
  readonly works: boolean
  readonly why: string
}

/** The sources that are used: one for samples, perhaps the kernel log for Xids. */
export interface Choice {
  readonly sources: readonly Source[]
  /** Their names, for people. */
  readonly names: readonly string[]
  readonly looks: readonly Look[]
}

/** What `auto` tries, in this order. */
const bestFirst = ['nvml', 'nvidia-smi', 'dcgm', 'amd'] as const
const GIVEN_UP = 'given up'
/** Time for a source to show one sample. */
const TRY_MS = 15_000

/** Chooses. Throws HEALTH_POLICY_INVALID for a source that does not exist or lacks what it needs. */
export async function chooseSources(name: SourceName, settings: SourceSettings): Promise<Choice> {
  if (!sourceNames.includes(name))
    throw new HealthError(
      'HEALTH_POLICY_INVALID',
      `gpu.source is ${JSON.stringify(name)}; allowed is ${sourceNames.join(', ')}.`,
      'gpu.source',
    )
  if (name !== 'auto') return named(name, settings)
  const looks: Look[] = []
  for (const [place, source] of bestFirst.entries()) {
    if (settings.signal?.aborted === true) break
    const look = await lookAt(source, settings)
    looks.push(look)
    if (!look.works) continue
    for (const other of bestFirst.slice(place + 1))
      looks.push({ source: other, works: false, why: `not looked at, ${source} is better` })
    return withKernelLog(source, settings, looks, look.why)
  }
  return { sources: [], names: ['none'], looks }
}

function named(
  name: Exclude<SourceName, 'auto'>,
  settings: SourceSettings,
): Choice | Promise<Choice> {
  const looks: Look[] = [{ source: name, works: true, why: 'configured' }]
  switch (name) {
    case 'none':
      return { sources: [], names: ['none'], looks }
    case 'replay': {
      if (settings.replay === undefined)
        throw new HealthError(
          'HEALTH_POLICY_INVALID',
          'gpu.source is "replay" without a recording; set gpu.replayFile.',
          'gpu.replayFile',
        )
      return {
        sources: [new Replay({ clock: settings.clock, ...settings.replay })],
        names: ['replay'],
        looks,
      }
    }
    case 'kernel-log':
      return {
        sources: [
          new KernelLog({
            ...base(settings),
            ...(settings.kernelLog === false ? undefined : settings.kernelLog),
          }),
        ],
        names: ['kernel-log'],
        looks,
      }
    case 'amd':
      return lookAt('amd', settings).then((look) =>
        withKernelLog('amd', settings, [look], look.why),
      )
    case 'nvml':
    case 'nvidia-smi':
    case 'dcgm':
      return withKernelLog(name, settings, looks, '')
    default:
      return name satisfies never
  }
}

const base = ({ clock, intervalMs }: SourceSettings): { clock: Clock; intervalMs: number } => ({
  clock,
  intervalMs,
})

/** The kernel log knows every Xid with its text; the numbers' source knows some or none. AMD has other lines. */
function withKernelLog(
  name: 'nvml' | 'nvidia-smi' | 'dcgm' | 'amd',
  settings: SourceSettings,
  looks: Look[],
  why: string,
): Choice {
  const { kernelLog } = settings
  const samples = make(name, settings, why)
  if (name === 'amd' || kernelLog === false) return { sources: [samples], names: [name], looks }
  const unreadable = KernelLog.unreadable(kernelLog?.path)
  looks.push({
    source: 'kernel-log',
    works: unreadable === null,
    why: unreadable ?? 'joined, for Xids',
  })
  if (unreadable !== null) return { sources: [samples], names: [name], looks }
  const log = new KernelLog({ ...base(settings), ...kernelLog })
  return { sources: [samples, log], names: [name, log.name], looks }
}

function make(
  name: 'nvml' | 'nvidia-smi' | 'dcgm' | 'amd',
  settings: SourceSettings,
  why: string,
): Source {
  switch (name) {
    case 'nvml':
      return new Nvml({ ...base(settings), ...settings.nvml })
    case 'nvidia-smi':
      return new NvidiaSmi({ ...base(settings), ...settings.nvidiaSmi })
    case 'dcgm':
      return new Dcgm({ ...base(settings), ...settings.dcgm })
    case 'amd':
      return new Amd({
        ...base(settings),
        ...settings.amd,
        use: amdWays.find((way) => why.endsWith(` by ${way}`)) ?? 'files',
      })
    default:
      return name satisfies never
  }
}

async function lookAt(
  name: 'nvml' | 'nvidia-smi' | 'dcgm' | 'amd',
  settings: SourceSettings,
): Promise<Look> {
  const found = (devices: number, how: string): Look =>
    devices > 0
      ? { source: name, works: true, why: `${devices} devices${how}` }
      : { source: name, works: false, why: `no device${how}` }
  try {
    switch (name) {
      case 'nvml':
        return found(
          await trySource(new Nvml({ ...base(settings), ...settings.nvml }), settings),
          '',
        )
      case 'nvidia-smi':
        return found(await listDevices(settings), '')
      case 'dcgm': {
        const text = await fetchText(base(settings), settings.dcgm?.url ?? DCGM_URL)
        return found(readDcgm(readMetrics(text, isWanted).metrics).devices.length, '')
      }
      case 'amd': {
        const options = { ...base(settings), ...settings.amd }
        for (const use of ['amd-smi', 'rocm-smi'] as const) {
          const devices = await sampleTool({ ...options, use }).catch(() => [])
          if (devices.length > 0) return found(devices.length, ` by ${use}`)
        }
        return found((await sampleSysfs(options.sysfs)).length, ' by files')
      }
      default:
        return name satisfies never
    }
  } catch (error) {
    return {
      source: name,
      works: false,
      why: brief(error instanceof Error ? error.message : String(error)),
    }
  }
}

/** Runs a source until its first sample; answers how many devices it names. */
async function trySource(
  source: Source,
  { clock, signal }: Pick<SourceSettings, 'clock' | 'signal'>,
): Promise<number> {
  let giveUp = (): void => {}
  try {
    return await new Promise<number>((resolve, reject) => {
      giveUp = () => reject(new Error(GIVEN_UP))
      signal?.addEventListener('abort', giveUp)
      const cancel = clock.after(TRY_MS, () =>
        reject(new Error(`no sample within ${TRY_MS / 1000} s`)),
      )
      source.start((sighting) => {
        if (sighting.type !== 'sampled' && sighting.type !== 'failed') return
        cancel()
        if (sighting.type === 'sampled') resolve(sighting.devices.length)
        else reject(new Error(sighting.detail))
      })
    })
  } finally {
    signal?.removeEventListener('abort', giveUp)
    await source.close()
  }
}

/** UUIDs that the tool names. */
function listDevices({ clock, signal, nvidiaSmi = {} }: SourceSettings): Promise<number> {
  const { program = 'nvidia-smi', args = [] } = nvidiaSmi
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      [...args, '--query-gpu=uuid', '--format=csv,noheader'],
      { maxBuffer: 1024 * 1024, env: toolEnvironment() },
      (error, stdout) => {
        cancel()
        const devices = stdout.split('\n').filter((line) => line.startsWith('GPU-')).length
        if (devices === 0 && error !== null) {
          const { code } = error as NodeJS.ErrnoException
          reject(
            new Error(
              code === 'ENOENT' ? `${program} is not installed` : brief(stdout || error.message),
            ),
          )
        } else resolve(devices)
      },
    )
    const end = (why: string): void => {
      child.kill('SIGKILL')
      reject(new Error(why))
    }
    const giveUp = (): void => end(GIVEN_UP)
    signal?.addEventListener('abort', giveUp)
    const late = clock.after(TRY_MS, () => end(`no answer within ${TRY_MS / 1000} s`))
    const cancel = (): void => {
      late()
      signal?.removeEventListener('abort', giveUp)
    }
  })
}

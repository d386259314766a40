/**
 * What the ready-made checks have in common: how a measured number becomes an answer, and how to wait for a socket or a program
 * so that nothing is left behind when the check's signal comes.
 */
import { execFile } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Unit } from '@health/core/report'
import { CheckFailure } from './failure.ts'
import {
  invalid,
  refuseUnknown,
  type CheckAnswer,
  type CheckOptions,
  type CheckSettings,
  settingNames,
} from './option.ts'

/** Limits of a number. Over `max` is unhealthy, over `warn` degraded. */
export interface Limits {
  readonly max?: number
  readonly warn?: number
}

/** Judges a number against its upper limits. */
export function atMost(value: number, unit: Unit, { max, warn }: Limits): CheckAnswer {
  const observed = { value: rounded(value), unit }
  if (max !== undefined && value > max)
    return { status: 'unhealthy', error: 'over_limit', observed }
  if (warn !== undefined && value > warn)
    return { status: 'degraded', error: 'over_limit', observed }
  return { status: 'healthy', observed }
}

/** Judges a number against its lower limits: under `min` is unhealthy, under `warn` degraded. */
export function atLeast(
  value: number,
  unit: Unit,
  limits: { readonly min?: number; readonly warn?: number },
): CheckAnswer {
  const observed = { value: rounded(value), unit }
  const { min, warn } = limits
  if (min !== undefined && value < min) return { status: 'unhealthy', error: 'too_small', observed }
  if (warn !== undefined && value < warn)
    return { status: 'degraded', error: 'too_small', observed }
  return { status: 'healthy', observed }
}

/** The worst of several answers; the first of equals. */
export function worst(answers: readonly CheckAnswer[]): CheckAnswer {
  const order = ['unhealthy', 'degraded', 'healthy'] as const
  for (const status of order) {
    const found = answers.find((answer) => answer.status === status)
    if (found !== undefined) return found
  }
  return { status: 'healthy' }
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}

/** Throws HEALTH_POLICY_INVALID unless the number is finite and in range. Left out is fine. */
export function number(value: number | undefined, path: string, least = 0, most = Infinity): void {
  if (value === undefined) return
  if (!Number.isFinite(value) || value < least || value > most)
    throw invalid(path, `must be a number from ${least}${most === Infinity ? '' : ` to ${most}`}`)
}

/** The same for a number that must be given. */
export function needed(value: number | undefined, path: string, least = 0, most = Infinity): void {
  number(value ?? Number.NaN, path, least, most)
}

/**
 * Splits what a factory was given into its own part and the settings of the check.
 * Throws HEALTH_POLICY_UNKNOWN for an option that is neither.
 */
export function split<Own extends object>(
  factory: string,
  options: Own & CheckSettings,
  known: Record<keyof Own, true>,
): { own: Own; settings: CheckSettings } {
  refuseUnknown(options, { ...known, ...settingNames }, factory)
  const settings: Record<string, unknown> = {}
  const own: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(options))
    (Object.hasOwn(settingNames, name) ? settings : own)[name] = value
  return { own: own as Own, settings }
}

/** A complete check out of a factory's options and its function. */
export function complete(settings: CheckSettings, check: CheckOptions['check']): CheckOptions {
  return { ...settings, check }
}

/** Waits for one event of a socket. It is destroyed when the signal comes; errors and an early end reject. */
export function socketEvent(socket: Socket, event: string, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onAbort = () => {
    socket.destroy()
    reject(new CheckFailure('timeout'))
  }
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  socket.once(event, () => resolve())
  socket.once('error', reject)
  socket.once('close', () => reject(new CheckFailure('connection_closed')))
  return promise.finally(() => signal.removeEventListener('abort', onAbort))
}

/** What a program wrote. */
export interface Output {
  readonly code: number
  readonly stdout: string
}

/**
 * Runs a program without a shell, at most 256 KiB of output. A program that is missing is `not_supported`; the signal kills it.
 */
export function run(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<Output> {
  const { promise, resolve, reject } = Promise.withResolvers<Output>()
  const options = { signal, maxBuffer: 262_144, env: { PATH: process.env['PATH'], LC_ALL: 'C' } }
  execFile(program, [...args], { ...options, killSignal: 'SIGKILL' }, (error, stdout) => {
    if (error === null) return resolve({ code: 0, stdout })
    if (signal.aborted) return reject(new CheckFailure('timeout'))
    if (error.code === 'ENOENT' || error.code === 'EACCES')
      return reject(new CheckFailure('not_supported'))
    if (typeof error.code === 'number') return resolve({ code: error.code, stdout })
    reject(new CheckFailure('failed'))
  })
  return promise
}

/**
 * What the `gpu` section may not say: values that cannot work are refused with their path, those that have no effect are warned of.
 * Paths become absolute. It opens nothing and looks for no device.
 */
import { resolve } from 'node:path'
import { checkXidOverrides } from '@health/core'
import { invalid } from './config-field.ts'
import type { Sections } from './config-table.ts'

/** The section, complete. */
export type GpuConfig = Sections['gpu']

const commands = ['resetCommand', 'rebootCommand', 'validateCommand'] as const
/** Level 4 of DCGM's diagnostic does not end within the time that a validation has by default. */
const LONG_LEVEL = 4

/** Checks the section and makes its paths absolute, from `base`. Throws HealthError with the path, the value and what is allowed. */
export function readGpu(gpu: GpuConfig, base: string, warnings: string[]): GpuConfig {
  const { source, dcgmUrl, dcgmDiagLevel, dcgmDiagCommand, replayFile, xid } = gpu
  checkXidOverrides(xid ?? {}, 'gpu.xid')
  if (dcgmUrl !== null) checkUrl(dcgmUrl)
  if (source === 'replay' && replayFile === null)
    invalid('gpu.replayFile', undefined, 'the file of a recording, since gpu.source is "replay"')
  if (source !== 'replay' && replayFile !== null)
    warnings.push(`gpu.replayFile has no effect: gpu.source is "${source}", not "replay".`)
  if (source !== 'dcgm' && source !== 'auto' && dcgmUrl !== null)
    warnings.push(`gpu.dcgmUrl has no effect: gpu.source is "${source}", not "dcgm" or "auto".`)
  if (dcgmDiagLevel === 0 && dcgmDiagCommand !== null)
    warnings.push('gpu.dcgmDiagCommand has no effect: gpu.dcgmDiagLevel is 0.')
  if (dcgmDiagLevel === LONG_LEVEL)
    warnings.push(
      'gpu.dcgmDiagLevel 4 takes one to two hours: raise policy.nodeValidateTimeoutSeconds above that.',
    )
  for (const name of commands) {
    const unknown = gpu[name]
      ?.join(' ')
      .match(/\{\w*\}/g)
      ?.find((word) => word !== '{device}' && word !== '{node}')
    if (unknown !== undefined)
      warnings.push(`gpu.${name}: ${unknown} is not replaced; {device} and {node} are.`)
  }
  return {
    ...gpu,
    resetCommand: located(gpu.resetCommand, base),
    rebootCommand: located(gpu.rebootCommand, base),
    validateCommand: located(gpu.validateCommand, base),
    dcgmDiagCommand: located(dcgmDiagCommand, base),
    replayFile: replayFile === null ? null : resolve(base, replayFile),
  }
}

/** Only a program with a slash is a path; one without is looked up in PATH. */
function located(command: readonly string[] | null, base: string): readonly string[] | null {
  const program = command?.[0]
  if (command === null || program === undefined || !program.includes('/')) return command
  return [resolve(base, program), ...command.slice(1)]
}

function checkUrl(text: string): void {
  const url = URL.parse(text)
  const web = url?.protocol === 'http:' || url?.protocol === 'https:'
  // An address may carry a password, so it is not shown.
  if (!web || url.username !== '' || url.password !== '')
    invalid('gpu.dcgmUrl', '(not shown)', 'an http or https address without a user')
}

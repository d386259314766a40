/** File: a file or folder exists, was changed recently enough, and has a size in range. Its contents are never read. */
import { stat } from 'node:fs/promises'
import { CheckFailure } from '../failure.ts'
import { complete, number, split } from '../measure.ts'
import type { CheckOptions, CheckSettings } from '../option.ts'

export interface FileOptions {
  readonly path: string
  /** Default: either. */
  readonly kind?: 'file' | 'folder'
  /** Longest time since it was changed. */
  readonly maxAgeSeconds?: number
  readonly minBytes?: number
  readonly maxBytes?: number
}

const known = {
  path: true,
  kind: true,
  maxAgeSeconds: true,
  minBytes: true,
  maxBytes: true,
} as const satisfies Record<keyof FileOptions, true>

/** A check of a file or folder. */
export function file(options: FileOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<FileOptions>('file', options, known)
  const { path, kind, maxAgeSeconds, minBytes, maxBytes } = own
  number(maxAgeSeconds, 'file.maxAgeSeconds')
  number(minBytes, 'file.minBytes')
  number(maxBytes, 'file.maxBytes')
  return complete(settings, async () => {
    const found = await stat(path)
    if (kind === 'file' && !found.isFile()) throw new CheckFailure('not_found')
    if (kind === 'folder' && !found.isDirectory()) throw new CheckFailure('not_found')
    if (maxAgeSeconds !== undefined && Date.now() - found.mtimeMs > maxAgeSeconds * 1000)
      throw new CheckFailure('too_old')
    if (minBytes !== undefined && found.size < minBytes) throw new CheckFailure('too_small')
    if (maxBytes !== undefined && found.size > maxBytes) throw new CheckFailure('too_large')
  })
}

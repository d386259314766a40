/** Real captures of several machines, where they are at hand: beside the repository, or where HEALTH_GPU_SAMPLES says. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const beside = fileURLToPath(new URL('../../../../shared/research/gpu-samples', import.meta.url))

/** The folder; null when there is none. */
export const captures: string | null =
  [process.env.HEALTH_GPU_SAMPLES, beside].find(
    (folder) => folder !== undefined && existsSync(folder),
  ) ?? null

if (captures === null)
  console.log('skipped: real captures of GPUs, set HEALTH_GPU_SAMPLES to their folder')

/** A fake `nvidia-smi` and the script that drives it. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { folder } from './recordings.ts'

const program = fileURLToPath(new URL('./stub/fake-smi.mjs', import.meta.url))
const help = readFileSync(new URL('./samples/smi-help.txt', import.meta.url), 'utf8')

/** One row, by field. */
export type SmiRow = Readonly<Record<string, string>>

/** A healthy device's row. */
export const smiRow = (index: number): SmiRow => ({
  index: String(index),
  uuid: `GPU-${index}`,
  'pci.bus_id': `00000000:1${index}:00.0`,
  'temperature.gpu': '55',
  'clocks_throttle_reasons.active': '0x0000000000000004',
  'remapped_rows.pending': 'No',
  gpu_recovery_action: 'None',
  name: 'Fake, 80GB',
})

/** Program, first arguments and script of a fake tool. */
export class FakeSmi {
  readonly program = process.execPath
  readonly args: readonly string[]
  readonly #path: string

  constructor() {
    this.#path = join(folder(), 'script.json')
    // The tool's environment is bare, so the script's place goes in front of the program.
    const set = `process.env.FAKE_SMI_SCRIPT=${JSON.stringify(this.#path)}`
    this.args = ['--import', `data:text/javascript,${encodeURIComponent(set)}`, program]
  }

  write(script: {
    rows?: readonly SmiRow[]
    raw?: readonly string[]
    exit?: number
    hang?: boolean
    refuse?: string
    missing?: string
    help?: string | null
  }): void {
    const { help: given = help, ...rest } = script
    writeFileSync(
      `${this.#path}.new`,
      JSON.stringify(given === null ? rest : { ...rest, help: given }),
    )
    renameSync(`${this.#path}.new`, this.#path)
  }
}

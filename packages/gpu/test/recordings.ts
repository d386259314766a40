/** Files that tests make: each in a folder of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const made: string[] = []

/** A new folder, until {@link removeFolders}. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'health-gpu-'))
  made.push(path)
  return path
}

/** Removes every folder that was made; for `afterAll`. */
export function removeFolders(): void {
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true })
}

/** A file with these lines. */
export function fileOf(lines: readonly (string | object)[]): string {
  const path = join(folder(), 'lines')
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)))
  writeFileSync(path, text.map((line) => `${line}\n`).join(''))
  return path
}

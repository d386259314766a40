/** The core is pure, and the linter says so: whatever brings clock, chance, timers, I/O or an adapter into it fails by name. */
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../../..')
const source = join(import.meta.dirname, '../src')
let copy = ''
beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'purity-'))
  mkdirSync(join(copy, 'packages/core/src'), { recursive: true })
  copyFileSync(join(root, '.oxlintrc.json'), join(copy, '.oxlintrc.json'))
})
afterAll(() => rmSync(copy, { recursive: true, force: true }))

/** What the linter says of a text, were it a file of the core. */
function lint(text: string): { readonly failed: boolean; readonly said: string } {
  writeFileSync(join(copy, 'packages/core/src/planted.ts'), text)
  try {
    const said = execFileSync(join(root, 'node_modules/.bin/oxlint'), ['packages/core/src'], {
      cwd: copy,
      encoding: 'utf8',
      stdio: 'pipe',
    })
    return { failed: false, said }
  } catch (error) {
    return { failed: true, said: String((error as { stdout: string }).stdout) }
  }
}

test.for([
  [
    'import { readFileSync } from "node:fs"\nexport const x = readFileSync("a")',
    'no-restricted-imports',
  ],
  ['import { hostname } from "os"\nexport const x = hostname()', 'no-restricted-imports'],
  [
    'import { SqliteQueue } from "@health/queue"\nexport const x = SqliteQueue',
    'no-restricted-imports',
  ],
  ['export const x = Date.now()', 'no-restricted-globals'],
  ['export const x = new Date()', 'no-restricted-globals'],
  ['export const x = performance.now()', 'no-restricted-globals'],
  ['export const x = Math.random()', 'no-restricted-properties'],
  ['export const x = setTimeout(() => {}, 1)', 'no-restricted-globals'],
  ['export const x = process.env', 'no-restricted-globals'],
  ['export const x = crypto.randomUUID()', 'no-restricted-globals'],
  ['export const x = () => { console.log(1) }', 'no-restricted-globals'],
] as const)('%s is refused by %s', ([text, rule]) => {
  const { failed, said } = lint(text)
  expect([failed, said.includes(rule)]).toEqual([true, true])
})

test('a pure file is not refused', () => {
  expect(lint('export const twice = (n: number): number => 2 * n')).toMatchObject({ failed: false })
})

test('the source imports its own files and xstate, nothing else', () => {
  const foreign = readdirSync(source).flatMap((file) =>
    [...readFileSync(join(source, file), 'utf8').matchAll(/from '([^']+)'/g)]
      .map(([, name]) => name!)
      .filter((name) => !name.startsWith('./') && name !== 'xstate' && !name.startsWith('xstate/'))
      .map((name) => `${file}: ${name}`),
  )
  expect(foreign).toEqual([])
})

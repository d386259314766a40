/** The page of measurements and the benchmarks of the repository name the same files, in both directions. It measures nothing. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = new URL('../../', import.meta.url)
const page = readFileSync(new URL('docs/performance.md', root), 'utf8')
const inPage = [...page.matchAll(/\b(?:apps|packages)\/[\w-]+\/bench\/[\w.-]+\.m?[jt]s\b/g)]
const unique = (paths: readonly string[]): string[] => [...new Set(paths)].toSorted()

const inRepository = ['apps', 'packages'].flatMap((group) =>
  readdirSync(new URL(`${group}/`, root))
    .map((name) => `${group}/${name}/bench`)
    .filter((folder) => existsSync(new URL(folder, root)))
    .flatMap((folder) =>
      readdirSync(new URL(folder, root))
        // Hidden files are somebody's scratch.
        .filter((file) => /^[^.].*\.m?[jt]s$/.test(file))
        .map((file) => `${folder}/${file}`),
    ),
)

test('every file of a bench folder is in docs/performance.md, and every one there exists', () => {
  expect(unique(inPage.map(([path]) => path))).toEqual(unique(inRepository))
})

test('`npm run bench` runs what the page shows, in its order, and leaves none out', () => {
  const bench = fileURLToPath(new URL('.ci/bench.mjs', root))
  const { status, stdout, stderr } = spawnSync(process.execPath, [bench, '--list'], {
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  expect(status).toBe(0)
  const shown = [...page.matchAll(/^## (.+)$/gm)].map(([, file]) => file)
  expect(shown).toEqual(stdout.trim().split('\n'))
})

test('the page says when, where and beside what it was measured, and how busy the machine was', () => {
  expect(page).toMatch(/^- \d{4}-\d\d-\d\d \d\d:\d\d UTC; \d+ × .+ GiB, Linux .+$/m)
  expect(page).toMatch(/^- node v\d+\.\d+\.\d+, .*fastify \d+.*haproxy .+$/m)
  expect(page).toMatch(/^The machine was quiet: |^> \*\*The machine was busy\.\*\* /m)
})

test('a goal is called met or missed as its numbers say', () => {
  const rows = page
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
  const goals = rows.flatMap(([, , ours = '', , , ratio = '', goal = '', here = '']) => {
    const [, sign, limit] = /^([≤≥]) ([\d.]+)$/.exec(goal) ?? []
    if (sign === undefined) return []
    const value = Number(ratio === '–' ? ours.split(' ')[0]?.replaceAll(',', '') : ratio)
    // The page shows rounded numbers: on the edge either word may be right.
    if (Math.abs(value - Number(limit)) < 0.01 * Number(limit)) return []
    const held = sign === '≤' ? value <= Number(limit) : value >= Number(limit)
    return [{ here, expected: held ? 'met' : '**missed**' }]
  })
  expect(goals.length).toBeGreaterThan(10)
  expect(goals.map(({ here }) => here)).toEqual(goals.map(({ expected }) => expected))
})

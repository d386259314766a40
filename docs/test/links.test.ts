/** Pages that lead somewhere: every relative link of the documentation, and every source file that it names, is there. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  ...globSync('{docs,packages,apps}/**/*.md', { cwd: root }),
]
  .filter((page) => !page.includes('node_modules'))
  .sort()
const sources = globSync('{packages,apps}/*/src/**/*.ts', { cwd: root })
const read = (page: string): string => readFileSync(join(root, page), 'utf8')
/** Code is no link, whatever it looks like. */
const prose = (text: string): string => text.replace(/```[\s\S]*?```|`[^`\n]*`/g, '')

describe('links', () => {
  test.for(pages)('%s', (page) => {
    const lost = [...prose(read(page)).matchAll(/\]\(([^)\s#]+)[^)]*\)/g)]
      .map(([, link]) => link!)
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => !existsSync(join(root, dirname(page), decodeURI(link))))
    expect(lost).toEqual([])
  })
})

test('every source file that the architecture names exists', () => {
  const named = [...read('docs/architecture.md').matchAll(/`([\w/-]+\.ts)`/g)].map(
    ([, file]) => file!,
  )
  expect(named.length).toBeGreaterThan(20)
  const lost = named.filter((file) => !sources.some((source) => `/${source}`.endsWith(`/${file}`)))
  expect(lost).toEqual([])
})

/** The runbook: a page for every reason and every alert, no page without one, and links that lead somewhere. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  alerts,
  appOptions,
  healthCheckOptions,
  nodeTunables,
  reasons,
  tunables,
} from '@health/core'
import { describe, expect, test } from 'vitest'

const folder = fileURLToPath(new URL('../guides/runbook/', import.meta.url))
const pages = readdirSync(folder).filter((file) => file !== 'README.md')
/** Alerts that only Prometheus can raise. */
const prometheus = ['no_runner', 'queue_waits', 'errors_high', 'gateway_unwell']
const read = (file: string): string => readFileSync(join(folder, file), 'utf8')

test('every reason and every alert has its page, and no page stands for nothing', () => {
  expect(new Set(pages.map((file) => file.slice(0, -3)))).toEqual(
    new Set([...reasons, ...alerts, ...prometheus]),
  )
})

describe('each page says what it means, what happens by itself, what to look at, what to do', () => {
  test.for(pages)('%s', (file) => {
    const text = read(file)
    expect(text.startsWith(`# ${file.slice(0, -3)}\n`)).toBe(true)
    expect(text.match(/^## .*$/gm)).toEqual([
      '## What it means',
      '## What the gateway does by itself',
      '## What to look at',
      '## What to do',
    ])
    for (const part of text.split(/^## .*$/m).slice(1))
      expect(part.trim().length).toBeGreaterThan(5)
    for (const [, link] of text.matchAll(/\]\(([^)#]+)\)/g))
      expect([link, existsSync(join(folder, link!))]).toEqual([link, true])
  })
})

test('options that a page names exist', () => {
  const known = new Set(
    [healthCheckOptions, appOptions, tunables, nodeTunables].flatMap((table) => Object.keys(table)),
  )
  // Fields of objects and of the configuration, which are no options of a policy.
  for (const field of ['cordonedBy', 'dataDir', 'ttlSeconds']) known.add(field)
  const camel = /^[a-z]+(?:[A-Z][a-z]+)+$/
  const named = pages.flatMap((file) =>
    [...read(file).matchAll(/`([a-zA-Z]+)`/g)].map(([, word]) => `${file}: ${word}`),
  )
  const unknown = named.filter((each) => {
    const word = each.split(': ')[1]!
    return camel.test(word) && !known.has(word)
  })
  expect(named.length).toBeGreaterThan(20)
  expect(unknown).toEqual([])
})

test('the list names every page once', () => {
  const listed = [...read('README.md').matchAll(/^\| \[[^\]]+\]\(([^)]+)\)/gm)].map(
    ([, link]) => link,
  )
  expect([listed.length, new Set(listed)]).toEqual([pages.length, new Set(pages)])
})

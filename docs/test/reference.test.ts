import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { requestMachine, rules, runnerMachine } from '@health/core'
import { pages } from './page.ts'

const folder = fileURLToPath(new URL('../reference/', import.meta.url))
const source = fileURLToPath(new URL('../../packages/core/src/', import.meta.url))

describe('the reference says what the code says', () => {
  test.for(Object.keys(pages))('%s', (file) => {
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(folder + file, pages[file]!)
    expect(readFileSync(folder + file, 'utf8')).toBe(pages[file])
  })
})

const named = (config: unknown, out: Set<string>): Set<string> => {
  if (Array.isArray(config)) for (const each of config) named(each, out)
  else if (typeof config === 'object' && config !== null) {
    const { meta } = config as { meta?: { rule?: string } }
    if (meta?.rule !== undefined) out.add(meta.rule)
    for (const value of Object.values(config)) named(value, out)
  }
  return out
}

test('every rule of a chart is listed', () => {
  const used = named([runnerMachine.config, requestMachine.config], new Set())
  expect([...used].filter((rule) => !Object.hasOwn(rules, rule))).toEqual([])
})

test('every rule that the code names is listed, and every listed rule is named in the code', () => {
  const text = readdirSync(source)
    .filter((file) => file.endsWith('.ts') && file !== 'rule.ts')
    .map((file) => readFileSync(source + file, 'utf8'))
    .join('\n')
  const prefixes = new Set(Object.keys(rules).map((rule) => rule.split('.')[0]))
  const literals = [
    ...text.matchAll(/(?:rule: |rule === |by = self \? |: |\()'([a-z]+\.[a-z_]+)'/g),
  ]
    .map((match) => match[1]!)
    .filter(
      (rule) =>
        prefixes.has(rule.split('.')[0]!) &&
        /^(start|health|outcome|retry|order|pool|guard|stop)\./.test(rule),
    )
  const events = new Set([
    'order.stop',
    'order.drain',
    'order.kill',
    'order.check',
    'order.start',
    'order.shutdown',
    'order.cordon',
    'order.uncordon',
    'order.drain-node',
    'order.reset',
    'order.reboot',
    'order.escalate',
    'order.retire',
    'start.granted',
  ])
  expect(
    [...new Set(literals)].filter((rule) => !Object.hasOwn(rules, rule) && !events.has(rule)),
  ).toEqual([])
  expect(
    Object.keys(rules).filter(
      (rule) => !text.includes(rule) && !text.includes(`\`${rule.split('.')[0]}.`),
    ),
  ).toEqual([])
})

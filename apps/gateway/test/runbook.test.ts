/** Every page that an explanation names exists, and every reason and rule that ends a runner leads to one. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rules, signalTable } from '@health/core'
import { expect, test } from 'vitest'
import { runbookPage, runbookPages, RUNBOOK } from '../src/command/runbook.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))

test('the pages are there', () => {
  for (const name of runbookPages)
    expect([name, existsSync(`${root}${RUNBOOK}/${name}.md`)]).toEqual([name, true])
})

test('a rule that ends a runner has a page, bookkeeping has none', () => {
  const facts = Object.entries(rules).flatMap(([name, rule]) => ('fact' in rule ? [name] : []))
  for (const rule of [...facts, 'health.threshold'])
    expect([rule, runbookPage('runner', rule, null) === null]).toEqual([rule, false])
  for (const rule of ['start.ready', 'stop.exited', 'health.recover', 'lease.granted'])
    expect([rule, runbookPage('runner', rule, null)]).toEqual([rule, null])
})

test('a guard comes before the rule that it withheld; a signal of a device leads to the device', () => {
  expect(runbookPage('runner', 'health.threshold', 'guard.self')).toMatch(/checker\.unwell\.md$/)
  expect(runbookPage('runner', 'health.threshold', 'guard.dry_run')).toMatch(
    /health_check_failed\.md$/,
  )
  for (const rule of Object.keys(signalTable))
    expect([rule, runbookPage('runner', rule, null)]).toEqual([rule, `${RUNBOOK}/device_fault.md`])
  expect(runbookPage('node', 'temp.critical', null)).toMatch(/node\.cordoned\.md$/)
  expect(runbookPage('node', 'node.escalate', null)).toMatch(/node\.escalated\.md$/)
  expect(runbookPage('request', 'retry.poison', null)).toMatch(/request\.poison\.md$/)
  expect(runbookPage('request', 'retry.table', null)).toBeNull()
})

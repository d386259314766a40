import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { signalTable } from '@health/core'
import { chartRules, explained, gpuPage } from './gpu-page.ts'

const file = fileURLToPath(new URL('../reference/gpu.md', import.meta.url))
const guide = fileURLToPath(new URL('../guides/gpu-trouble.md', import.meta.url))

test('the GPU page says what the tables say', () => {
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(file, gpuPage)
  expect(readFileSync(file, 'utf8')).toBe(gpuPage)
})

test('every rule of the chart is explained on it', () => {
  expect([...chartRules()].filter((rule) => !explained.has(rule))).toEqual([])
})

test('the guide says what to do about every signal', () => {
  const text = readFileSync(guide, 'utf8')
  for (const rule of Object.keys(signalTable)) expect(text).toContain(`\`${rule}\``)
})

/** Alert rules and dashboard name only metrics, labels and words that exist, and every alert of ours has a rule. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { alerts, compile, lastingNodeAlerts, reasons, runnerMachine } from '@health/core'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'

const docs = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(docs, path), 'utf8')

/** Metrics with their labels, from the reference, which is made from the gateway's own table. */
const metrics = new Map<string, readonly string[]>()
for (const [, name, type, cell] of read('reference/metrics.md').matchAll(
  /^\| `([a-z_]+)` \| (\w+) +\| (.*?) \|/gm,
)) {
  const labels = [...cell!.matchAll(/`([a-z_]+)`/g)].map((found) => found[1]!)
  if (type !== 'histogram') metrics.set(name!, labels)
  else {
    metrics.set(`${name}_bucket`, [...labels, 'le'])
    metrics.set(`${name}_sum`, labels)
    metrics.set(`${name}_count`, labels)
  }
}
/** Labels that Prometheus adds to whatever it scrapes. */
const scraped = ['job', 'instance']
const words = compile(runnerMachine).configurations.map(({ word }) =>
  word.replace(/^ready/, 'idle'),
)
/** What a label may say, where that is a closed set. */
const closed: Readonly<Record<string, readonly string[]>> = {
  'health_alerts_total.name': alerts,
  'health_node_alert.name': lastingNodeAlerts,
  'health_terminations_total.reason': reasons,
  'health_terminations_total.enforced': ['true', 'false'],
  'health_guard_state.guard': ['self', 'panic', 'cap', 'rate'],
  'health_runners.state': words,
}

/** What is wrong with an expression: names that no metric has, labels that the metric has not, words that no label says. */
function faults(expression: string): readonly string[] {
  const wrong: string[] = []
  const used: string[] = []
  const rest = expression
    .replaceAll(/([a-z_:]+)\{([^}]*)\}/g, (_, name: string, matchers: string) => {
      used.push(name)
      for (const [, label, op, value] of matchers.matchAll(
        /([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g,
      )) {
        if (!(metrics.get(name) ?? ['job']).includes(label!) && !scraped.includes(label!))
          wrong.push(`${name} has no label ${label}`)
        const known = closed[`${name}.${label}`]
        if (known === undefined || value!.startsWith('$')) continue
        const parts = op === '=~' && /^[a-z_|]+$/.test(value!) ? value!.split('|') : [value!]
        for (const part of parts)
          if (
            !known.some((word) =>
              new RegExp(`^(?:${op === '=~' ? part : part.replaceAll(/[.+]/g, '\\$&')})$`).test(
                word,
              ),
            )
          )
            wrong.push(`${label} of ${name} is never ${part}`)
      }
      return ''
    })
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\b(by|on|without|ignoring)\s*\(([^)]*)\)/g, (_, __, labels: string) => {
      for (const label of labels.split(',').map((each) => each.trim()))
        if (![...metrics.values()].some((all) => all.includes(label)))
          wrong.push(`no metric has ${label}`)
      return ''
    })
  const plain = rest.matchAll(/\b([a-z_:][a-z0-9_:]*)\b(?!\s*\()/g)
  const operators = new Set(['and', 'or', 'unless', 'bool', 'offset', 'by', 'on'])
  for (const [, name] of plain) if (!operators.has(name!)) used.push(name!)
  for (const name of used)
    if (!metrics.has(name) && name !== 'up') wrong.push(`there is no metric ${name}`)
  if (used.length === 0) wrong.push('it names no metric')
  return wrong
}

test.for([
  ['health_runners{state="idle"}', []],
  ['sum by (app) (rate(health_requests_total{status=~"5.."}[5m])) / 2', []],
  [
    'health_runner{state="idle"}',
    ['health_runner has no label state', 'there is no metric health_runner'],
  ],
  ['health_runners{status="idle"}', ['health_runners has no label status']],
  ['health_guard_state{guard=~"cap|speed"}', ['guard of health_guard_state is never speed']],
  ['sum by (colour) (health_journal_seq)', ['no metric has colour']],
  ['health_probe_duration_seconds', ['there is no metric health_probe_duration_seconds']],
  ['1 > 0', ['it names no metric']],
] as const)('%s', ([expression, expected]) => {
  expect(faults(expression)).toEqual(expected)
})

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly runbook: string }
}
const rules = (
  parse(read('monitoring/alerts.yaml')) as { groups: { name: string; rules: Rule[] }[] }
).groups.flatMap((group) => group.rules)

describe('alert rules', () => {
  test.for(rules)('$alert', ({ alert, expr, labels, annotations }) => {
    expect(alert).toMatch(/^Health[A-Z]\w+$/)
    expect(faults(expr)).toEqual([])
    expect(['info', 'warning', 'critical']).toContain(labels.severity)
    expect(annotations.summary).toMatch(/\.$/)
    const pages = annotations.runbook.includes('{{ $labels.reason }}')
      ? /reason=~"([a-z_|]+)"/
          .exec(expr)![1]!
          .split('|')
          .map((reason) => annotations.runbook.replace('{{ $labels.reason }}', reason))
      : [annotations.runbook]
    for (const page of pages)
      expect([page, existsSync(join(dirname(docs), page))]).toEqual([page, true])
  })

  test('have names of their own, and every alert of the gateway has one', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
    const runbooks = rules.map(({ annotations }) => annotations.runbook)
    for (const name of alerts) expect(runbooks).toContain(`docs/guides/runbook/${name}.md`)
  })

  test('are taken by promtool, and say of known histories what they should', (context) => {
    if (spawnSync('promtool', ['--version']).error !== undefined)
      return context.skip('promtool is not installed (Debian: prometheus)')
    const cwd = join(docs, 'monitoring')
    const run = (...args: string[]): string =>
      execFileSync('promtool', args, { cwd, encoding: 'utf8' })
    expect(run('check', 'rules', 'alerts.yaml')).toContain(`${rules.length} rules found`)
    expect(run('test', 'rules', 'alerts.test.yaml')).toContain('SUCCESS')
  })
})

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: {
    readonly h: number
    readonly w: number
    readonly x: number
    readonly y: number
  }
  readonly datasource?: { readonly type: string; readonly uid: string }
  readonly targets?: readonly {
    readonly refId: string
    readonly expr: string
    readonly legendFormat: string
  }[]
}
const dashboard = JSON.parse(read('monitoring/dashboard.json')) as {
  readonly uid: string
  readonly schemaVersion: number
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly definition?: string }[]
  }
  readonly annotations: { readonly list: readonly { readonly expr: string }[] }
  readonly panels: readonly Panel[]
}

describe('dashboard', () => {
  const drawn = dashboard.panels.filter(({ type }) => type !== 'row')

  test.for(drawn)('$title', ({ datasource, targets }) => {
    expect(datasource).toEqual({ type: 'prometheus', uid: '${datasource}' })
    expect(targets!.length).toBeGreaterThan(0)
    expect(new Set(targets!.map(({ refId }) => refId)).size).toBe(targets!.length)
    for (const { expr, legendFormat } of targets!) {
      expect([expr, faults(expr)]).toEqual([expr, []])
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
        expect([label, scraped.includes(label!) || expr.includes(label!)]).toEqual([label, true])
    }
  })

  test('shows every metric of ours, panels do not lie on each other', () => {
    const text = JSON.stringify(dashboard)
    const base = [...metrics.keys()]
      .filter((name) => name.startsWith('health_'))
      .map((name) => name.replace(/_(bucket|sum|count)$/, ''))
    const missing = [...new Set(base)].filter((name) => !text.includes(name))
    // A count of what should not happen has no panel; it is in the log.
    expect(missing).toEqual(['health_gateway_events_total'])
    const cells = new Set<string>()
    for (const { gridPos } of dashboard.panels)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(x).toBeLessThan(24)
          expect(cells.has(`${x},${y}`)).toBe(false)
          cells.add(`${x},${y}`)
        }
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
    for (const { expr } of dashboard.annotations.list) expect(faults(expr)).toEqual([])
    expect(dashboard.templating.list.map(({ name }) => name)).toEqual(['datasource', 'app'])
  })
})

/** The page that Prometheus reads, from a gateway that has something to tell: every listed metric is there, and nothing that is not listed. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type NodeView, reasons } from '@health/core'
import { gpuMetrics } from '@health/gpu'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { metricTable, type MetricSpec } from '../src/metric-table.ts'
import { RUNNER, type RunningGateway, startGateway } from './running-gateway.ts'

/** What operators were promised: names without their prefix, and labels. */
const promised: Readonly<Record<string, string>> = {
  runners: 'app,state',
  transitions_total: 'app,from,to,rule',
  terminations_total: 'app,reason,enforced',
  probe_duration_seconds: 'app,kind,result',
  requests_total: 'app,mode,status',
  request_duration_seconds: 'app,mode',
  attempts_total: 'app,outcome',
  retries_total: 'app,condition',
  queue_depth: 'app',
  queue_oldest_seconds: 'app',
  guard_state: 'app,guard',
  loop_delay_seconds: '',
  journal_seq: '',
}
const table: Readonly<Record<string, MetricSpec>> = metricTable

interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Reads the text format strictly: HELP and TYPE before the first sample, each once, values that are numbers. */
function readPage(text: string): {
  readonly types: ReadonlyMap<string, string>
  readonly samples: readonly Sample[]
} {
  const types = new Map<string, string>()
  const samples: Sample[] = []
  expect(text.endsWith('\n')).toBe(true)
  for (const line of text.trimEnd().split('\n')) {
    const type = /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/.exec(line)
    if (type !== null) {
      expect(types.has(type[1]!)).toBe(false)
      types.set(type[1]!, type[2]!)
      continue
    }
    if (/^# HELP [a-z_]+ \S/.test(line)) continue
    const found = /^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)+)\})? (\S+)$/.exec(line)
    expect([line, found === null]).toEqual([line, false])
    const [, name, inner, value] = found!
    const base = name!.replace(/_(bucket|sum|count)$/, '')
    const owner = types.get(base) === 'histogram' ? base : name!
    expect([line, types.has(owner)]).toEqual([line, true])
    const labels = Object.fromEntries(
      [...(inner ?? '').matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [
        key,
        text,
      ]),
    ) as Record<string, string>
    const { le: _, ...rest } = labels
    expect(Number.isFinite(Number(value))).toBe(true)
    samples.push({ name: owner, labels: rest, value: Number(value) })
  }
  return { types, samples }
}

let gateway: RunningGateway
beforeAll(async () => {
  gateway = await startGateway({
    apps: {
      'demo/echo': {
        command: ['node', RUNNER],
        healthCheck: { path: '/health', intervalSeconds: 1, startPeriodSeconds: 1 },
        minConcurrency: 1,
        maxConcurrency: 2,
        startupTimeoutSeconds: 20,
      },
    },
  })
})
afterAll(() => gateway.close())

const page = async (): Promise<ReturnType<typeof readPage>> =>
  readPage(await (await fetch(`${gateway.url}/metrics`)).text())

test('every promised metric is listed with its labels, and the table promises nothing else of ours but four', () => {
  for (const [name, labels] of Object.entries(promised))
    expect([name, table[`health_${name}`]?.labels.join(',')]).toEqual([name, labels])
  const more = Object.keys(table).filter(
    (name) => name.startsWith('health_') && !Object.hasOwn(promised, name.slice(7)),
  )
  expect(more).toEqual([
    'health_app_degraded',
    'health_node_alert',
    'health_alerts_total',
    'health_gateway_events_total',
  ])
})

test('ends and failures that alerts count are 0 before the first of them', async () => {
  const { samples } = await page()
  const zero = (name: string): readonly (string | undefined)[] =>
    samples
      .filter((each) => each.name === name && each.value === 0)
      .map(({ labels }) => labels['reason'] ?? labels['status'])
  expect(zero('health_terminations_total')).toEqual(reasons)
  expect(new Set(zero('health_requests_total'))).toEqual(new Set(['500', '502', '503', '504']))
})

test(
  'a gateway that has served, retried and lost runners shows each of them',
  { timeout: 60_000 },
  async () => {
    const queued = (await (
      await fetch(`${gateway.url}/queue/demo/echo/?status=503`, {
        method: 'POST',
        body: '{}',
        headers: {
          'content-type': 'application/json',
          'x-fal-retry-config': '{"server_error":{"retries":1}}',
        },
      })
    ).json()) as { request_id: string }
    await gateway.until(() => (gateway.queue.entry(queued.request_id)?.final == null ? null : true))
    expect(
      (await fetch(`${gateway.url}/run/demo/echo`, { method: 'POST', body: '{}' })).status,
    ).toBe(200)
    const { types, samples } = await page()

    const shown = new Set(samples.map(({ name }) => name))
    for (const [name, type] of types) expect([name, type]).toEqual([name, table[name]?.type])
    const silent = Object.keys(table).filter((name) => !shown.has(name))
    // Nothing rare has happened, and not every system tells about itself.
    expect(silent.filter((name) => !/^(health_gateway_events_total|process_)/.test(name))).toEqual(
      [],
    )
    for (const { name, labels } of samples)
      expect([name, Object.keys(labels).join(',')]).toEqual([name, table[name]!.labels.join(',')])

    const sum = (name: string, want: Readonly<Record<string, string>>): number =>
      samples
        .filter(
          (each) =>
            each.name === name && Object.entries(want).every(([k, v]) => each.labels[k] === v),
        )
        .reduce((total, { value }) => total + value, 0)
    expect(
      sum('health_terminations_total', {
        reason: 'server_error',
        enforced: 'true',
        app: 'demo/echo',
      }),
    ).toBe(2)
    expect(sum('health_retries_total', { condition: 'server_error' })).toBe(1)
    expect(sum('health_requests_total', { mode: 'run', status: '200' })).toBe(1)
    expect(sum('health_guard_state', {})).toBe(0)
    expect(
      samples
        .filter(({ name }) => name === 'health_alerts_total')
        .map(({ labels }) => labels['name']),
    ).toContain('guard.panic')
  },
)

test(
  'a killed runner and one that crashed are ends like any other',
  { timeout: 60_000 },
  async () => {
    const ready = (): string | null =>
      [...gateway.supervisor.fleet.runners.values()].find(({ configuration }) =>
        configuration.states.has('ready'),
      )?.id ?? null
    const ends = async (reason: string): Promise<number> =>
      (await page()).samples
        .filter(
          ({ name, labels }) => name === 'health_terminations_total' && labels['reason'] === reason,
        )
        .reduce((total, { value }) => total + value, 0)
    const killed = await gateway.until(ready)
    await fetch(`${gateway.url}/v1/runners/${killed}/kill`, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json' },
    })
    await gateway.until(() => (gateway.runner(killed)?.substate === 'gone' ? true : null))
    expect(await ends('killed')).toBe(1)
    const crashed = await gateway.until(ready)
    process.kill(gateway.runner(crashed)!.pid!, 'SIGKILL')
    await gateway.until(() => (gateway.runner(crashed)?.substate === 'gone' ? true : null))
    expect(await ends('crashed')).toBe(1)
  },
)

const file = fileURLToPath(new URL('../../../docs/reference/metrics.md', import.meta.url))

/** A node whose device reports everything, so that nothing is left out. */
const node = {
  id: 'n1',
  devices: [
    {
      uuid: 'GPU-1',
      index: 0,
      name: 'H100',
      state: 'healthy',
      runner: null,
      temperatureC: 40,
      marginC: 40,
      smClockMHz: 1,
      maxSmClockMHz: 1,
      throttle: [],
      powerW: 1,
      memoryUsedMiB: 1,
      utilisationPercent: 1,
      lastXid: 79,
    },
  ],
} as unknown as NodeView

test('metrics.md', () => {
  const devices = [...gpuMetrics([node]).matchAll(/^# HELP (\w+) (.*)$/gm)]
  const text = `# Metrics

\`GET /metrics\`, Prometheus text. Counters end in \`_total\` and begin at zero with each start; durations are seconds. Ended runners by reason, and requests by the gateway's own failures (500, 502, 503, 504), are shown as 0 for each app before the first of them; other series appear with their first count. [Alert rules and a dashboard](../monitoring/README.md) use exactly these names.

| metric | type | labels | says |
| --- | --- | --- | --- |
${Object.entries(table)
  .map(
    ([name, { type, labels, says }]) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ') || '–'} | ${says} |`,
  )
  .join('\n')}

## Devices

Of a node with devices their last sample, gauges with \`gpu\` (the index), \`UUID\`, \`modelName\` and \`Hostname\` (the node), named as DCGM's exporter names them. What a device does not report has no series. \`health_device_state\` has a label \`state\` too: 1 for the one that it is in, 0 for the others.

| metric | says |
| --- | --- |
${devices.map(([, name, says]) => `| \`${name}\` | ${says} |`).join('\n')}
`
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(file, text)
  expect(readFileSync(file, 'utf8')).toBe(text)
})

// Orders about the node: what each answers, what it refuses and why, and that a node is afterwards what it was before, over restarts and
// crashes.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { call, fromSource, GatewayProcess, until } from './gateway-process.ts'
import { GpuScene } from './gpu-scene.ts'

const becomes = (scene: GpuScene, state: string): ReturnType<GpuScene['node']> =>
  until(
    () => scene.node(),
    (node) => node.state === state,
  )

test('orders answer 202 with the node as it is, or a sentence; a cordon outlives a restart', async () => {
  await using scene = new GpuScene()
  scene.configure({ source: 'none' })
  const gateway = await scene.start()
  expect(await scene.order('cordon')).toMatchObject({
    status: 202,
    value: { id: 'local', state: 'cordoned', cordonedBy: 'operator', runners: [], devices: [] },
  })
  expect((await call(scene.url, '/v1/nodes')).value).toMatchObject({
    nodes: [{ id: 'local', state: 'cordoned' }],
    next: null,
  })
  expect((await call(scene.url, '/v1/nodes/local/explain')).value).toMatchObject({
    decision: { rule: 'order.cordon', from: 'healthy', to: 'cordoned' },
    chain: [
      { type: 'order.cordon', text: 'cordon ordered by operator' },
      { type: 'order.cordon', text: expect.stringContaining('healthy → cordoned') },
      { type: 'order.cordon', text: expect.stringContaining('a person ordered it') },
    ],
  })
  for (const [path, status, type, detail] of [
    ['local/reset', 409, 'order_refused', /no reset command; set gpu.resetCommand/],
    ['local/reboot', 409, 'order_refused', /no reboot command; set gpu.rebootCommand/],
    ['elsewhere/cordon', 404, 'node_not_found', /no node elsewhere/],
  ] as const) {
    const { status: got, value } = await call(scene.url, `/v1/nodes/${path}`, { method: 'POST' })
    expect([path, got, value.error_type]).toEqual([path, status, type])
    expect(value.detail).toMatch(detail)
  }
  for (const order of ['reset', 'drain', 'cordon', 'reboot'])
    expect(await scene.order(order, { device: 'GPU-9' })).toMatchObject({
      status: 422,
      value: { path: 'device' },
    })
  expect((await call(scene.url, '/v1/nodes/elsewhere')).status).toBe(404)
  expect(await call(scene.url, '/v1/breaker/close', { method: 'POST' })).toMatchObject({
    status: 202,
    value: { open: false },
  })
  expect((await scene.stop(gateway)).code).toBe(0)

  await scene.start()
  expect(await scene.node()).toMatchObject({ state: 'cordoned', cordonedBy: 'operator' })
  // The alert was raised before the restart: only a gauge still tells of it.
  expect(await (await fetch(`${scene.url}/metrics`)).text()).toContain(
    'health_node_alert{node="local",name="node.cordoned"} 1',
  )
  expect(await scene.order('uncordon')).toMatchObject({ status: 202, value: { state: 'healthy' } })
  expect(await scene.order('uncordon')).toMatchObject({
    status: 409,
    value: { detail: 'Node local is in service.' },
  })
}, 120_000)

test('what nodes are judged by: the configuration, over a reload; what people ask for goes before it', async () => {
  await using scene = new GpuScene()
  const policy = async () => (await call(scene.url, '/v1/policy')).value
  const put = (change: object) =>
    call(scene.url, '/v1/policy', {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(change),
    })
  scene.configure(
    { source: 'none', xid: { 109: 'drain' } },
    { policy: { tempHighC: 70 }, app: { devices: 1 } },
  )
  const gateway = await scene.start()
  expect(gateway.lines.find(({ event }) => event === 'gpu.warning')?.['text']).toBe(
    'app gpu/app needs devices, and no source reports any: its runners wait until one does',
  )
  expect(await policy()).toMatchObject({
    capMin: 1,
    tempHighC: 70,
    telemetryStalledSeconds: 30,
    xid: { 109: 'drain' },
  })
  expect(await put({ tempHighC: 60 })).toMatchObject({ status: 200, value: { tempHighC: 60 } })
  expect(await put({ xid: { 79: 'restart' } })).toMatchObject({ status: 422 })
  expect(await put({ tempHighC: null })).toMatchObject({ status: 200, value: { tempHighC: 70 } })
  scene.configure({ source: 'none', xid: { 109: 'drain' } }, { policy: { tempHighC: 65 } })
  gateway.child.kill('SIGHUP')
  await until(policy, ({ tempHighC }) => tempHighC === 65)
}, 120_000)

test('a cordoned node takes no runner, and the call that waits is served when it is back', async () => {
  await using scene = new GpuScene()
  scene.configure({ source: 'none' }, { policy: { noCapacitySeconds: 600 } })
  await scene.start()
  await scene.order('cordon')
  const answer = call(scene.url, '/run/gpu/app', { method: 'POST' })
  const app = async () => (await call(scene.url, '/v1/apps')).value.apps[0]
  await until(app, ({ waiting }) => waiting === 1)
  expect((await app()).runners).toEqual({ backoff: 1 })
  await scene.order('uncordon')
  expect((await answer).status).toBe(200)
}, 120_000)

test('drained by a person it stays empty; escalated it leaves evidence; retired it comes back by an order and proves itself', async () => {
  await using scene = new GpuScene()
  scene.configure({ source: 'none' }, { app: { minConcurrency: 1 } })
  await scene.start()
  await until(
    () => scene.node(),
    ({ runners }) => runners.length === 1,
  )
  await scene.order('drain')
  await until(
    () => scene.node(),
    ({ state, runners }) => state === 'draining' && runners.length === 0,
  )
  expect(await scene.order('escalate')).toMatchObject({ value: { state: 'escalated' } })
  expect(await scene.order('cordon')).toMatchObject({ status: 409 })
  const evidence = join(scene.folder, 'data/evidence')
  const [file] = await until(
    async () => {
      try {
        return readdirSync(evidence)
      } catch {
        return []
      }
    },
    ({ length }) => length === 1,
  )
  const text = (): string => readFileSync(join(evidence, file!), 'utf8')
  await until(
    async () => text(),
    (found) => found.endsWith('}\n'),
  )
  expect(JSON.parse(text())).toMatchObject({ node: { id: 'local', state: 'escalated' } })
  expect(await scene.order('retire')).toMatchObject({ value: { state: 'retired' } })
  expect(await scene.order('uncordon')).toMatchObject({ value: { state: 'validating' } })
  await becomes(scene, 'healthy')
}, 120_000)

test('a reset that a crash cut short is ordered again, under its old id, and the node comes back', async () => {
  await using scene = new GpuScene()
  scene.configure({ source: 'none', resetCommand: scene.script('reset', 'go') })
  const gateway = await scene.start()
  expect(await scene.order('reset')).toMatchObject({ value: { state: 'resetting' } })
  await until(
    async () => scene.called('reset'),
    ({ length }) => length === 1,
  )
  await scene.stop(gateway, 'SIGKILL')
  const again = await scene.start()
  expect(await scene.node()).toMatchObject({ state: 'resetting', cordonedBy: 'operator' })
  const idIn = ({ lines }: Pick<typeof again, 'lines'>): unknown =>
    lines.find(({ event, order }) => event === 'node.order' && order === 'reset')?.id
  await until(
    async () => idIn(again),
    (id) => id !== undefined,
  )
  expect(idIn(again)).toBe(idIn(gateway))
  // The first one lives: no second one runs beside it.
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect(scene.called('reset')).toHaveLength(1)
  writeFileSync(scene.path('go'), '')
  await becomes(scene, 'healthy')
  expect(scene.called('reset')).toEqual(['all local', 'all local'])
}, 120_000)

test('a stop does not wait for a command without end, and does not count it as failed', async () => {
  await using scene = new GpuScene()
  scene.configure({ source: 'none', resetCommand: scene.script('reset', 'go') })
  const file = scene.path('health.config.json')
  const config = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...config, shutdown: { graceSeconds: 1 } }))
  const gateway = await scene.start()
  await scene.order('reset')
  await until(
    async () => scene.called('reset'),
    ({ length }) => length === 1,
  )
  expect((await scene.stop(gateway)).code).toBe(0)
  await scene.start()
  expect(await scene.node()).toMatchObject({ state: 'resetting' })
  writeFileSync(scene.path('go'), '')
  await becomes(scene, 'healthy')
}, 120_000)

test('health nodes passes orders on and says what came of them', async () => {
  await using scene = new GpuScene()
  scene.configure({ source: 'none' })
  await scene.start()
  const health = async (...args: string[]) => {
    await using cli = new GatewayProcess(process.execPath, [...fromSource, 'nodes', ...args], {
      env: { HEALTH_URL: scene.url },
    })
    return await cli.ended
  }
  expect(await health('cordon', 'local')).toMatchObject({ code: 0, out: 'local is cordoned\n' })
  expect((await health()).out).toMatch(/local\s+cordoned/)
  const refused = await health('reset', 'local')
  expect(refused.code).not.toBe(0)
  expect(refused.err).toMatch(/no reset command/)
  expect(await health('cordon', 'x')).toMatchObject({ code: 5 })
  const whole = await health('drain', 'local', '--device', 'GPU-0')
  expect([whole.code, whole.err]).toEqual([
    1,
    expect.stringMatching(/goes with health nodes reset/),
  ])
}, 120_000)

test('health nodes reset --device is about that device alone', async () => {
  await using scene = new GpuScene()
  scene.configure({
    source: 'replay',
    replayFile: scene.openPipe(),
    resetCommand: scene.script('resets'),
  })
  await scene.start()
  scene.report(50, 51, 52)
  await until(
    () => scene.node(),
    ({ devices }) => devices.length === 3,
  )
  const health = async (device: string) => {
    await using cli = new GatewayProcess(
      process.execPath,
      [...fromSource, 'nodes', 'reset', 'local', '--device', device],
      { env: { HEALTH_URL: scene.url } },
    )
    return await cli.ended
  }
  const refused = await health('GPU-9')
  expect([refused.code, refused.err]).toEqual([1, expect.stringMatching(/has no device GPU-9/)])
  expect((await health('GPU-1')).code).toBe(0)
  await becomes(scene, 'healthy')
  expect(scene.called('resets')).toEqual(['GPU-1 local'])
}, 120_000)

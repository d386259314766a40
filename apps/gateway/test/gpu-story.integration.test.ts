// GPUs in trouble under a real gateway with real runners: what telemetry says becomes cordons, drains, resets and blame, and a node that
// proved itself comes back.
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { call, until } from './gateway-process.ts'
import { GpuScene, sample, type SeenNode } from './gpu-scene.ts'

const healthy = ({ state }: SeenNode): boolean => state === 'healthy'
/** Seen through the process itself: what the runner was given. */
const variable = (pid: number, name: string): string | undefined =>
  readFileSync(`/proc/${pid}/environ`, 'utf8')
    .split('\0')
    .find((pair) => pair.startsWith(`${name}=`))
    ?.slice(name.length + 1)
const runnerOf = async (scene: GpuScene, id: string): Promise<any> =>
  (await call(scene.url, `/v1/runners/${id}`)).value
/** The runners of the devices, when each device has one that is ready. */
const seated = (scene: GpuScene, besides: readonly string[] = []): Promise<string[]> =>
  until(
    async () => {
      const { devices } = await scene.node()
      const ids = devices.map(({ runner }) => runner ?? '')
      const states = await Promise.all(
        ids.map(async (id) => (id === '' ? '' : (await runnerOf(scene, id)).state)),
      )
      return ids.filter((id, i) => states[i] === 'ready' && !besides.includes(id))
    },
    (ids) => ids.length === 2,
  )

test('a recording: hot, critical, cool; the node leaves service, waits, proves itself and comes back', async () => {
  await using scene = new GpuScene()
  const lines = [
    ...[40, 40, 90, 90, 90, 90].map((heat, i) => sample(i * 10_000, heat, 45)),
    ...Array.from({ length: 600 }, (_, i) => sample((6 + i) * 10_000, 50, 45)),
  ]
  writeFileSync(scene.path('day.jsonl'), lines.map((line) => JSON.stringify(line)).join('\n'))
  scene.configure({ source: 'replay', replayFile: 'day.jsonl', replaySpeed: 50 })
  const gateway = await scene.start()
  await until(
    () => scene.story(),
    (story) => story.some((line) => line.endsWith('node.uncordon')),
  )
  expect(await scene.story()).toEqual([
    'healthy → cordoned temp.critical',
    'cordoned → draining node.drain',
    'draining → validating node.validate',
    'validating → healthy node.uncordon',
  ])
  expect(gateway.lines.find(({ event }) => event === 'gpu.source')).toMatchObject({
    configured: 'replay',
    used: ['replay'],
  })
  expect(gateway.lines.filter(({ event }) => event === 'alert')).toMatchObject([
    { name: 'node.cordoned', node: 'local', text: expect.stringContaining('temp.critical') },
  ])
  const { value: why } = await call(scene.url, '/v1/nodes/local/explain')
  expect(why).toMatchObject({ kind: 'node', id: 'local', decision: { rule: 'node.uncordon' } })
  const metrics = await (await fetch(`${scene.url}/metrics`)).text()
  expect(metrics).toMatch(
    /^DCGM_FI_DEV_GPU_TEMP\{gpu="0",UUID="GPU-0",modelName="Test GPU",Hostname="local"\} 50$/m,
  )
}, 120_000)

test('a device falls off the bus: its runner drains, the other stays; reset, check, and back with a new runner', async () => {
  await using scene = new GpuScene()
  scene.configure(
    {
      source: 'replay',
      replayFile: scene.openPipe(),
      resetCommand: scene.script('reset'),
      validateCommand: scene.script('check'),
      xid: { 79: 'reset' },
    },
    { app: { devices: 1, minConcurrency: 2, maxConcurrency: 2 } },
  )
  await scene.start()
  scene.report(50, 45)
  const [first, second] = await seated(scene)
  const before = [await runnerOf(scene, first!), await runnerOf(scene, second!)]
  expect(before.map(({ node }) => node)).toEqual(['local', 'local'])
  expect(before.map(({ pid }) => variable(pid, 'CUDA_VISIBLE_DEVICES'))).toEqual(['GPU-0', 'GPU-1'])

  scene.xid('GPU-0', 79)
  await until(
    () => scene.node(),
    ({ state }) => state !== 'healthy',
  )
  const [third] = await seated(scene, [first!])
  expect(await until(() => scene.node(), healthy)).toMatchObject({
    cordonedBy: null,
    devices: [{ uuid: 'GPU-0', state: 'healthy', runner: third, lastXid: 79 }, { runner: second }],
  })
  expect(await runnerOf(scene, first!)).toMatchObject({
    state: 'terminated',
    reason: 'node_drained',
  })
  expect(await runnerOf(scene, second!)).toMatchObject({ state: 'ready', pid: before[1].pid })
  expect(variable((await runnerOf(scene, third!)).pid, 'CUDA_VISIBLE_DEVICES')).toBe('GPU-0')
  expect(scene.called('reset')).toEqual(['GPU-0 local'])
  expect(scene.called('check')).toEqual(['GPU-0 local'])
  expect(await scene.story()).toEqual([
    'healthy → cordoned xid',
    'cordoned → draining node.drain',
    'draining → resetting node.reset',
    'resetting → validating node.validate',
    'validating → healthy node.uncordon',
  ])
}, 120_000)

test('a repaired device proves itself by a command and by DCGM’s diagnostic; one that fails there climbs the ladder', async () => {
  await using scene = new GpuScene()
  const report = (status: string): string =>
    JSON.stringify({
      'DCGM Diagnostic': {
        test_categories: [
          {
            category: 'Hardware',
            tests: [{ name: 'memory', results: [{ entity_group: 'GPU', entity_id: 4, status }] }],
          },
        ],
      },
    })
  const table = '| 4      | Name: Test GPU |\n|        | Device UUID: GPU-0 |\n'
  // The second time it is asked it finds the device broken.
  writeFileSync(
    scene.path('dcgmi.mjs'),
    `import { appendFileSync, readFileSync } from 'node:fs'
    const log = ${JSON.stringify(scene.path('diag'))}
    appendFileSync(log, process.argv.slice(2).join(' ') + '\\n')
    const asked = readFileSync(log, 'utf8').split('\\n').filter((line) => line.startsWith('diag')).length
    process.stdout.write(process.argv[2] === 'discovery' ? ${JSON.stringify(table)} : asked === 1 ? ${JSON.stringify(report('Pass'))} : ${JSON.stringify(report('Fail'))})`,
  )
  scene.configure({
    source: 'replay',
    replayFile: scene.openPipe(),
    resetCommand: scene.script('reset'),
    validateCommand: scene.script('check'),
    dcgmDiagLevel: 2,
    dcgmDiagCommand: [process.execPath, scene.path('dcgmi.mjs')],
  })
  const gateway = await scene.start()
  scene.report(50, 45)
  await until(
    () => scene.node(),
    ({ devices }) => devices.length === 2,
  )
  scene.xid('GPU-0', 48)
  await until(
    () => scene.story(),
    (story) => story.some((line) => line.endsWith('node.uncordon')),
  )
  expect(scene.called('check')).toEqual(['GPU-0 local'])
  expect(scene.called('diag')).toEqual(['discovery -l', 'diag -r 2 --json -i 4'])
  const ends = (): unknown[] => gateway.lines.filter(({ event }) => event === 'node.validate.ended')
  expect(ends()).toMatchObject([
    { passed: true, detail: expect.stringMatching(/^level 2: 1 passed/) },
  ])

  scene.xid('GPU-0', 62)
  const { state } = await until(
    () => scene.node(),
    ({ state: word }) => word === 'escalated',
  )
  expect(state).toBe('escalated')
  expect(ends()[1]).toMatchObject({
    passed: false,
    detail: 'level 2: memory on GPU 4 failed',
  })
  const { value: why } = await call(scene.url, '/v1/nodes/local/explain')
  expect(why.decision).toMatchObject({ rule: 'node.escalate', to: 'escalated' })
}, 120_000)

test('an application’s error is its runner’s: ended as device_fault, or shown beside the 503 of the same moment', async () => {
  await using scene = new GpuScene()
  scene.configure(
    { source: 'replay', replayFile: scene.openPipe() },
    { app: { devices: 1, minConcurrency: 2, maxConcurrency: 2 } },
  )
  await scene.start()
  scene.report(50, 45)
  const [, blamed] = await seated(scene)
  scene.xid('GPU-1', 31)
  expect(
    await until(
      () => runnerOf(scene, blamed!),
      ({ state }) => state === 'terminated',
    ),
  ).toMatchObject({ reason: 'device_fault' })
  const { value: fault } = await call(scene.url, `/v1/runners/${blamed}/explain`)
  expect(fault.decision).toMatchObject({ rule: 'xid', subject: { id: blamed } })
  expect(fault.chain).toContainEqual(
    expect.objectContaining({
      type: 'gpu.xid',
      text: 'Xid 31 of device GPU-1: as the driver says',
    }),
  )
  expect(await scene.node()).toMatchObject({ state: 'healthy' })

  await seated(scene, [blamed!])
  const answer = await call(scene.url, '/run/gpu/app?status=503', { method: 'POST' })
  expect(answer.status).toBe(503)
  const ended = answer.headers.get('x-fal-served-from')!
  const place = (await scene.node()).devices.find(({ runner }) => runner === ended)
  scene.xid(place?.uuid ?? 'GPU-0', 13)
  const { value: why } = await until(
    () => call(scene.url, `/v1/runners/${ended}/explain`),
    ({ value }) => value.chain?.some(({ type }: { type: string }) => type === 'gpu.xid') === true,
  )
  expect(why.decision).toMatchObject({ rule: 'outcome.server_error' })
  expect(why.chain.map(({ text }: { text: string }) => text)).toContainEqual(
    expect.stringMatching(/^at the same moment: Xid 13 of device GPU-/),
  )
  expect(await runnerOf(scene, ended)).toMatchObject({ reason: 'server_error' })
  expect(await scene.node()).toMatchObject({ state: 'healthy' })
}, 120_000)

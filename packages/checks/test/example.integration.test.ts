import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exampleFile, startExample, type Running } from './stub/example.ts'
import { closedPort } from './stub/server.ts'

const read = (path: string) => readFile(exampleFile(path), 'utf8')

describe('servers', () => {
  test.for(['health-http/server.mjs', 'health-express/server.mjs'])('%s', async (path) => {
    await using example = await startExample(path)
    const seen: Record<string, number> = {}
    for (const at of ['/live', '/ready', '/startup', '/health', '/health/detailed', '/'])
      seen[at] = (await fetch(example.url + at)).status
    expect(seen).toEqual({
      '/live': 200,
      '/ready': 200,
      '/startup': 200,
      '/health': 200,
      '/health/detailed': 401,
      '/': 200,
    })
    const report = (await (await fetch(`${example.url}/health?verbose`)).json()) as {
      checks: object
    }
    expect(report.checks).toHaveProperty('clock')
    expect(await example.stop()).toBe(0)
  })

  test('health-hono/app.mjs', async () => {
    const script = `import { app } from ${JSON.stringify(exampleFile('health-hono/app.mjs').href)}
      for (const path of ['/live', '/health?verbose', '/']) {
        const answer = await app.request(path)
        console.log(answer.status, await answer.text())
      }`
    const args = ['--conditions=@health/source', '--input-type=module', '-e', script]
    const { code, stdout } = await run(process.execPath, args)
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^200 \{"status":"alive"\}\n200 \{"status":"healthy".*"cache".*\}\n200 hello\n/,
    )
  })
})

interface Ran {
  readonly code: number
  readonly stdout: string
}

function run(program: string, args: string[], env: Record<string, string> = {}, cwd?: string) {
  const { promise, resolve } = Promise.withResolvers<Ran>()
  const options = { env: { PATH: process.env['PATH'], ...env }, cwd }
  execFile(program, args, options, (error, stdout) =>
    resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout: String(stdout) }),
  )
  return promise
}

// Every command of the files below is run as it stands there. Only the address is another, and the package is this one.
describe('containers and CI', () => {
  // The documentation's own dependency; this package needs no YAML.
  const require = createRequire(new URL('../../../docs/package.json', import.meta.url))
  const yaml = require('yaml') as {
    parse(text: string): unknown
    parseAllDocuments(text: string): { errors: unknown[]; toJS(): unknown }[]
  }
  let folder = ''
  let well: Running
  let closed = 0
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'health-example-'))
    closed = await closedPort()
    well = await startExample('health-http/server.mjs')
    const source = new URL('../src/main.ts', import.meta.url).href
    const installed = join(folder, 'node_modules/@health/checks/dist')
    await mkdir(installed, { recursive: true })
    await mkdir(join(folder, 'node_modules/.bin'), { recursive: true })
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
    await writeFile(join(installed, 'main.js'), `await import(${JSON.stringify(source)})\n`)
    const bin = join(folder, 'node_modules/.bin/health-check')
    await writeFile(bin, `#!/bin/sh\nexec ${process.execPath} ${join(installed, 'main.js')} "$@"\n`)
    await chmod(bin, 0o755)
  })
  afterAll(async () => {
    await well[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  const condition = { NODE_OPTIONS: '--conditions=@health/source' }

  /** An exec-form command against a healthy service, then against none. */
  async function runExec(argv: readonly string[]): Promise<number[]> {
    expect(argv[0]).toBe('node')
    const codes: number[] = []
    for (const url of [well.url, `http://127.0.0.1:${closed}`]) {
      const args = argv.slice(1).map((arg) => arg.replace('http://127.0.0.1:8080', url))
      expect(args.join(' ')).toContain(`${url}/health`)
      codes.push((await run(process.execPath, args, condition, folder)).code)
    }
    return codes
  }

  /** A shell line, likewise. */
  async function runShell(line: string): Promise<number[]> {
    const codes: number[] = []
    for (const url of [well.url, `http://127.0.0.1:${closed}`]) {
      const env = { ...condition, SERVICE_URL: url }
      codes.push((await run('/bin/sh', ['-c', line], env, folder)).code)
    }
    return codes
  }

  test('Dockerfile', async () => {
    const instructions = (await read('docker/Dockerfile'))
      .replaceAll(/^#.*\n/gm, '')
      .replaceAll('\\\n', ' ')
      .split('\n')
      .filter((line) => line.trim() !== '')
    for (const line of instructions)
      expect(line).toMatch(/^(FROM|WORKDIR|COPY|RUN|ENV|EXPOSE|USER|HEALTHCHECK|CMD) \S/)
    const check = instructions.filter((line) => line.startsWith('HEALTHCHECK '))
    expect(check).toHaveLength(1)
    const [, flags = '', command = ''] = /^HEALTHCHECK (.*?) +CMD (.*)$/.exec(check[0]!) ?? []
    expect(flags.split(/ +/)).toEqual([
      '--interval=30s',
      '--timeout=10s',
      '--start-period=30s',
      '--retries=3',
    ])
    expect(await runExec(JSON.parse(command) as string[])).toEqual([0, 1])
    expect(check[0]).not.toMatch(/curl|wget|\bsh\b/)
  })

  test('compose.yaml', async () => {
    const file = yaml.parse(await read('compose/compose.yaml')) as {
      services: Record<string, { healthcheck: Record<string, unknown>; depends_on?: object }>
    }
    const { app, database } = file.services
    expect(app?.depends_on).toEqual({ database: { condition: 'service_healthy' } })
    const { test: command, ...spans } = app!.healthcheck
    expect(spans).toEqual({ interval: '30s', timeout: '10s', retries: 3, start_period: '30s' })
    const [form, ...argv] = command as string[]
    expect(form).toBe('CMD')
    expect(await runExec(argv)).toEqual([0, 1])
    expect(database?.healthcheck['test']).toEqual(['CMD-SHELL', 'pg_isready -U postgres'])
  })

  test('deployment.yaml: each probe is answered, each by its own endpoint', async () => {
    const documents = yaml.parseAllDocuments(await read('kubernetes/deployment.yaml'))
    expect(documents.flatMap(({ errors }) => errors)).toEqual([])
    const [deployment, service] = documents.map((document) => document.toJS()) as [
      { kind: string; spec: { template: { spec: { containers: Record<string, unknown>[] } } } },
      { kind: string },
    ]
    expect([deployment.kind, service.kind]).toEqual(['Deployment', 'Service'])
    const container = deployment.spec.template.spec.containers[0]!
    const paths: string[] = []
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
      const { httpGet } = container[probe] as { httpGet: { path: string } }
      paths.push(httpGet.path)
      expect((await fetch(well.url + httpGet.path)).status).toBe(200)
    }
    expect(paths).toEqual(['/startup', '/ready', '/live'])
  })

  const line = 'node_modules/.bin/health-check "$SERVICE_URL/health" --timeout 10'

  test('gitlab-ci.yml', async () => {
    const file = yaml.parse(await read('ci/gitlab-ci.yml')) as { health: { script: string[] } }
    expect(file.health.script).toEqual(['npm ci', line])
    expect(await runShell(file.health.script[1]!)).toEqual([0, 2])
  })

  test('github.yml', async () => {
    const file = yaml.parse(await read('ci/github.yml')) as {
      jobs: { health: { steps: { run?: string }[] } }
    }
    const runs = file.jobs.health.steps.flatMap(({ run: command }) => command ?? [])
    expect(runs).toEqual(['npm ci', line])
    expect(await runShell(runs[1]!)).toEqual([0, 2])
  })

  test('Jenkinsfile', async () => {
    const text = await read('ci/Jenkinsfile')
    const shells = [...text.matchAll(/^\s*sh '([^']*)'$/gm)].map(([, shell]) => shell!)
    expect(shells).toEqual(['npm ci', line])
    // Groovy has no parser here: every block that opens must close, and nothing may be left between.
    const rest = text.replaceAll(/^\/\/.*$/gm, '').replaceAll(/'[^']*'/g, "''")
    let open = 0
    for (const letter of rest) {
      if (letter === '{') open++
      if (letter === '}') open--
      expect(open).toBeGreaterThanOrEqual(0)
    }
    expect(open).toBe(0)
    expect(rest).toMatch(/^\s*pipeline \{/)
    expect(await runShell(shells[1]!)).toEqual([0, 2])
  })
})

/**
 * Starts the servers that are measured: our gateway as its binary starts, the Node peers, nginx and HAProxy where their binaries
 * are. All end with `close`; nothing outlives a run.
 */
import { fork, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A server in a process of its own. */
export interface Server {
  readonly name: string
  readonly pid: number
  readonly port: number
  /** From the spawn to the moment it accepted a connection, in ms. */
  readonly startMs: number
  close(): Promise<void>
}

/** Our gateway: where it keeps its journal, too. */
export interface GatewayServer extends Server {
  readonly dataDir: string
}

/** What is running: nothing of it outlives us, however we end. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(143))

/** Ends a process with us. */
export function endWithUs<T extends ChildProcess>(child: T): T {
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** Which file `npm start` runs: plain JavaScript, since it is read by an older Node too. */
const { startFile } = (await import(
  new URL('../../../.ci/start-file.mjs', import.meta.url).href
)) as { readonly startFile: (node: string) => string }

/** Runs the sources, as every Node child here does. */
export const fromSource = ['--conditions=@health/source', '--disable-warning=ExperimentalWarning']
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

/** The version of a program, null when it is not installed. */
export function versionOf(program: 'nginx' | 'haproxy' | 'wrk'): string | null {
  const { error, stdout, stderr } = spawnSync(program, ['-v'], { encoding: 'utf8' })
  return error === undefined ? (/(\d+\.\d+[\w.]*)/.exec(stdout + stderr)?.[1] ?? '?') : null
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** A Node process keeps what it compiled only when it ends by itself: it is asked to, and has so long, in ms. */
const KIND_MS = 5000

async function endKindly(child: ChildProcess, ask: () => void): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const late = setTimeout(() => child.kill('SIGKILL'), KIND_MS)
    ask()
    await once(child, 'exit')
    clearTimeout(late)
  }
}

/**
 * From here on Node processes keep compiled code in a folder, as `npm start` has them do; it goes with us. A second start of the
 * same program is quick, and the first one fills the folder when it is closed.
 */
export function keepCompiled(): void {
  const folder = mkdtempSync(join(tmpdir(), 'bench-cache-'))
  process.env['NODE_COMPILE_CACHE'] = folder
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
}

/** Waits until a process listens; what it said is the error when it ends instead. */
async function listening(name: string, child: ChildProcess, port: number): Promise<Server> {
  const begun = performance.now()
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (piece: Buffer) => {
      if (said.length < 4096) said += piece.toString()
    })
  child.once('error', (error) => (said += error.message))
  while (!(await accepts(port))) {
    if (child.exitCode !== null || performance.now() - begun > 30_000)
      throw new Error(`${name} does not listen: ${said}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return {
    name,
    pid: child.pid!,
    port,
    startMs: performance.now() - begun,
    close: () => end(child),
  }
}

/** How `npm start` sets Node up for our gateway: a small young generation, and no more threads of the collector than cores. */
export const { gatewayFlags } = (await import(
  new URL('../../../.ci/node-flags.mjs', import.meta.url).href
)) as { readonly gatewayFlags: readonly string[] }

/** One of the servers of `rig-node.ts`, with V8's defaults where no `flags` are given, as its users have it. */
export async function nodeServer(
  kind: string,
  behind = '',
  name = kind,
  flags: readonly string[] = [],
): Promise<Server> {
  const begun = performance.now()
  const child = endWithUs(
    fork(here('rig-node.ts'), [kind], {
      // DEP0060 is http-proxy's.
      execArgv: [...fromSource, '--disable-warning=DEP0060', ...flags],
      env: { ...process.env, BENCH_URL: behind },
    }),
  )
  const [{ port }] = (await once(child, 'message')) as [{ readonly port: number }]
  return {
    name,
    pid: child.pid!,
    port,
    startMs: performance.now() - begun,
    // It ends when we let go of it.
    close: () => endKindly(child, () => (child.connected ? child.disconnect() : child.kill())),
  }
}

/** Our gateway as `npm start` starts it, its journal in files. */
export async function gateway(
  name: string,
  configuration: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>> = {},
  flags: readonly string[] = gatewayFlags,
): Promise<GatewayServer> {
  const dir = mkdtempSync(join(tmpdir(), 'bench-gateway-'))
  const file = join(dir, 'health.config.json')
  const whole = {
    listen: { host: '127.0.0.1', port: 0 },
    dataDir: join(dir, 'data'),
    ...configuration,
  }
  writeFileSync(file, JSON.stringify(whole))
  const args = [
    ...flags,
    ...fromSource,
    ...profiling(name),
    startFile(process.execPath),
    'start',
    '--config',
    file,
  ]
  const begun = performance.now()
  const child = endWithUs(
    spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    }),
  )
  const port = await portIn(name, child)
  return {
    name,
    pid: child.pid!,
    port,
    dataDir: whole.dataDir,
    startMs: performance.now() - begun,
    async close() {
      await endKindly(child, () => child.kill('SIGTERM'))
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** The port that a gateway says in its log; what it said instead is the error. */
function portIn(name: string, child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let said = ''
    let known = false
    const hear = (piece: Buffer): void => {
      // The log goes on as long as the gateway does; it is read, and forgotten.
      if (known) return
      said += piece.toString()
      const port = /"event":"gateway\.listening","url":"http:\/\/127\.0\.0\.1:(\d+)"/.exec(
        said,
      )?.[1]
      if (port === undefined) return
      known = true
      resolve(Number(port))
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    child.once('exit', () => reject(new Error(`${name} does not listen: ${said.slice(-2000)}`)))
  })
}

/** `BENCH_PROFILE=folder`: the gateways write a CPU profile there. */
function profiling(name: string): string[] {
  const folder = process.env['BENCH_PROFILE']
  return folder === undefined
    ? []
    : [
        '--cpu-prof',
        `--cpu-prof-dir=${folder}`,
        `--cpu-prof-name=${name.replaceAll(/\W+/g, '-')}.cpuprofile`,
      ]
}

async function configured(
  name: string,
  program: string,
  args: (file: string, dir: string) => readonly string[],
  text: (port: number, dir: string) => string,
): Promise<Server> {
  const dir = mkdtempSync(join(tmpdir(), `bench-${program}-`))
  const port = await freePort()
  const file = join(dir, `${program}.conf`)
  mkdirSync(join(dir, 'tmp'))
  writeFileSync(join(dir, 'big'), Buffer.alloc(32_768, 'x'))
  writeFileSync(file, text(port, dir))
  const child = endWithUs(spawn(program, args(file, dir), { stdio: ['ignore', 'pipe', 'pipe'] }))
  const server = await listening(name, child, port)
  return {
    ...server,
    async close() {
      await server.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** nginx as one process with these lines inside its `http` block; `PORT` and `DIR` in them are replaced. */
export function nginx(name: string, lines: string): Promise<Server> {
  return configured(
    name,
    'nginx',
    (file, dir) => ['-p', dir, '-c', file, '-e', 'stderr'],
    (
      port,
      dir,
    ) => `daemon off; master_process off; worker_processes 1; pid ${dir}/pid; error_log stderr emerg;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 75s; sendfile on; tcp_nopush on;
  client_body_temp_path ${dir}/tmp; proxy_temp_path ${dir}/tmp; fastcgi_temp_path ${dir}/tmp; uwsgi_temp_path ${dir}/tmp; scgi_temp_path ${dir}/tmp;
  ${lines.replaceAll('PORT', String(port)).replaceAll('DIR', dir)}
}
`,
  )
}

/** HAProxy as one process with one thread; `PORT` is replaced. */
export function haproxy(name: string, sections: string): Promise<Server> {
  return configured(
    name,
    'haproxy',
    (file) => ['-db', '-q', '-f', file],
    (port) => `global
  maxconn 8000
  nbthread 1
defaults
  mode http
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
${sections.replaceAll('PORT', String(port))}
`,
  )
}

// What `npm start`, `npm test` and `npm run` with health, example, bench or build do on a machine with only Node 20 and npm: installs
// what is missing, finds a Node that runs TypeScript sources, and hands over. Plain JavaScript without dependencies; it decides nothing else.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gatewayFlags } from './node-flags.mjs'
import { startFile } from './start-file.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const modules = join(root, 'node_modules')
const fromSource = ['--conditions=@health/source', '--disable-warning=ExperimentalWarning']
const windows = process.platform === 'win32'
const npx = windows ? 'npx.cmd' : 'npx'
/** Oldest Node that strips types by itself and has everything the sources use. */
const OLDEST = [22, 19]

const fail = (line) => {
  process.stderr.write(`${line}\n`)
  process.exit(1)
}

/** The installation is current when it was made from this very lockfile. */
function installed(lockfile, hash) {
  if (!existsSync(join(modules, '.modules.yaml'))) return false
  const read = (name) =>
    existsSync(join(modules, name)) ? readFileSync(join(modules, name), 'utf8') : ''
  return read('.health-installed') === hash || read('.pnpm/lock.yaml') === lockfile
}

function alive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** One installation at a time, also when `npm start` and `npm test` begin together. Returns how to let go. */
async function lock(hash) {
  const folder = join(
    tmpdir(),
    `health-install-${createHash('sha256').update(root).digest('hex').slice(0, 16)}-${process.getuid?.() ?? 0}`,
  )
  const owner = join(folder, 'pid')
  for (let waited = 0; ; waited++) {
    try {
      mkdirSync(folder, { mode: 0o700 })
      writeFileSync(owner, String(process.pid))
      return () => rmSync(folder, { recursive: true, force: true })
    } catch (error) {
      // Where no lock can be made the install goes on without one: pnpm repairs what two of them left.
      if (error.code !== 'EEXIST') return () => {}
      const pid = existsSync(owner) ? Number(readFileSync(owner, 'utf8')) : 0
      if (pid > 0 ? !alive(pid) : waited > 20) rmSync(folder, { recursive: true, force: true })
      else await new Promise((resolve) => setTimeout(resolve, 100))
    }
    if (waited > 6000)
      fail(
        `Another installation of ${hash.slice(0, 8)} has been running for ten minutes. End it, then try again.`,
      )
  }
}

async function install() {
  const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8')
  const hash = createHash('sha256').update(lockfile).digest('hex')
  if (installed(lockfile, hash)) return
  const release = await lock(hash)
  try {
    if (installed(lockfile, hash)) return
    process.stderr.write('Installing dependencies (only when they changed) …\n')
    // stdout belongs to the command that follows, which may be asked for JSON.
    const result = spawnSync(npx, ['--yes', 'pnpm@12', 'install', '--frozen-lockfile'], {
      cwd: root,
      stdio: ['ignore', 2, 2],
      shell: windows,
      env: { ...process.env, CI: 'true' },
    })
    if (result.error)
      fail(`Dependencies were not installed: ${result.error.message}. npm (with npx) is needed.`)
    if (result.status !== 0)
      fail(
        'Dependencies were not installed: pnpm ended with an error (above). Check the network, then try again.',
      )
    writeFileSync(join(modules, '.health-installed'), hash)
  } finally {
    release()
  }
}

const recent = (version) => {
  const [major, minor] = version.replace(/^v/, '').split('.').map(Number)
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])
}

/** The Node that came with the installation, else the one that runs this file. */
function findNode() {
  const own = join(modules, 'node', 'bin', windows ? 'node.exe' : 'node')
  if (existsSync(own)) {
    const answer = spawnSync(own, ['--version'], { encoding: 'utf8' })
    if (answer.status === 0 && recent(answer.stdout.trim())) return own
  }
  if (recent(process.version)) return process.execPath
  return fail(
    `Node ${OLDEST.join('.')} or newer is needed; this is ${process.version} and the one from the registry did not install. Install Node 24 from https://nodejs.org.`,
  )
}

/** Pid of the parent of a process; 0 where it cannot be read. */
function parentOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return 0
  }
}

/** Calls back when npm is gone: our parent, or the shell between us and npm, has a new parent. */
function watchParent(lost) {
  const parent = process.ppid
  const grandparent = parentOf(parent)
  const timer = setInterval(() => {
    if (process.ppid === parent && parentOf(parent) === grandparent) return
    clearInterval(timer)
    lost()
  }, 250)
  timer.unref()
}

/**
 * Runs a command to its end and ends as it did. `guard`: the child is told over a channel when we are gone, and signals go on
 * to it; that two deliveries of one Ctrl-C are one signal is the child's to know (HEALTH_BOOT).
 */
function run(node, args, { guard = false, env = {}, shell = false } = {}) {
  const child = spawn(node, args, {
    cwd: process.cwd(),
    shell,
    stdio: guard ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit',
    env: {
      ...process.env,
      PATH: `${join(modules, '.bin')}${windows ? ';' : ':'}${process.env.PATH ?? ''}`,
      ...env,
    },
  })
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => child.kill(signal))
  if (guard) watchParent(() => child.kill('SIGTERM'))
  child.on('error', (error) => fail(`${node} did not start: ${error.message}.`))
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? { SIGINT: 130, SIGTERM: 143, SIGKILL: 137 }[signal] ?? 1
    // A pipe to us may still be held by a grandchild; our work is done.
    process.exit()
  })
}

/** Benchmarks whose path holds the pattern; one that is called so comes first. */
async function benchmarks(pattern = '') {
  const { plan } = await import('./bench-plan.mjs')
  const found = plan.filter(({ file }) => file.includes(pattern))
  const called = found.filter(({ file }) => file.endsWith(`/${pattern}.ts`))
  return [...called, ...found.filter((one) => !called.includes(one))]
}

/** Examples that are programs: their folder, and the file that runs. */
function examples() {
  const folder = join(root, 'docs', 'examples')
  return readdirSync(folder).flatMap((name) => {
    const file = ['main.mjs', 'server.mjs', 'runner.mjs']
      .map((each) => join(folder, name, each))
      .find((each) => existsSync(each))
    return file === undefined ? [] : [{ name, file }]
  })
}

const [command = '', ...args] = process.argv.slice(2)
if (!['start', 'test', 'health', 'example', 'bench', 'build'].includes(command))
  fail('usage: node .ci/boot.mjs start|test|health|example|bench|build [arguments]')
await install()
const node = findNode()
// Stripped and compiled sources are kept, so that a second start is quick.
const env = {
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(modules, '.cache', 'health'),
}
switch (command) {
  case 'start':
    run(node, [...gatewayFlags, ...fromSource, startFile(node), 'start', ...args], {
      guard: true,
      env: { ...env, HEALTH_BOOT: '1' },
    })
    break
  case 'health':
    // `health start` by this way is still under npm: the same care for signals and for the parent.
    run(
      node,
      [...(args[0] === 'start' ? gatewayFlags : []), ...fromSource, startFile(node), ...args],
      args[0] === 'start' ? { guard: true, env: { ...env, HEALTH_BOOT: '1' } } : { env },
    )
    break
  case 'example': {
    const found = examples()
    const one = found.find(({ name }) => name === args[0])
    if (one === undefined)
      fail(`usage: npm run example -- NAME\n\n${found.map(({ name }) => name).join('\n')}`)
    run(node, [...fromSource, one.file, ...args.slice(1)], { env })
    break
  }
  case 'build':
    // turbo wants to find pnpm itself, and in npx's path it is.
    run(npx, ['--yes', 'pnpm@12', '--dir', root, 'exec', 'turbo', 'run', 'build', ...args], {
      shell: windows,
    })
    break
  case 'test':
    run(node, [
      join(modules, 'vitest', 'vitest.mjs'),
      'run',
      '--root',
      root,
      '--reporter=default',
      `--reporter=${join(root, '.ci', 'test-report.mjs')}`,
      ...args,
    ])
    break
  case 'bench': {
    // No name: all of them, quickly. A name: that one, with its own options.
    const named = args[0] !== undefined && !args[0].startsWith('--')
    const [one] = named ? await benchmarks(args[0]) : []
    if (!named) run(node, [...fromSource, join(root, '.ci', 'bench.mjs'), ...args], { env })
    else if (one !== undefined)
      run(node, [...fromSource, ...(one.flags ?? []), join(root, one.file), ...args.slice(1)], {
        env,
      })
    else {
      process.stdout.write(
        `usage: npm run bench [-- NAME [OPTIONS] | --write]\n\n${(await benchmarks()).map(({ file }) => file).join('\n')}\n`,
      )
      process.exitCode = 1
    }
    break
  }
}

// `npm run bench`: runs every benchmark in a quick mode, one after the other, and prints one table of what was measured beside what.
// `--write` makes docs/performance.md of it. Started by boot.mjs with the Node that runs TypeScript sources.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { plan } from './bench-plan.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const LIMIT_MS = 600_000
const write = process.argv.includes('--write')
const only = process.argv.slice(2).filter((word) => !word.startsWith('--'))

let current = null
for (const signal of ['SIGTERM', 'SIGINT'])
  process.once(signal, () => {
    current?.kill(signal)
    process.exit(143)
  })

/** Runs one benchmark; answers what it printed and the rows that it told. */
function run({ file, args, read }) {
  const folder = mkdtempSync(join(tmpdir(), 'bench-rows-'))
  const rowsFile = join(folder, 'rows')
  const child = spawn(process.execPath, [...process.execArgv, join(root, file), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: join(root, file.split('/').slice(0, 2).join('/')),
    env: { ...process.env, BENCH_ROWS: rowsFile, NO_COLOR: '1' },
  })
  current = child
  const late = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (piece) => {
    text += piece
    process.stdout.write(piece)
  })
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(late)
      const told = existsSync(rowsFile)
        ? readFileSync(rowsFile, 'utf8')
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line))
        : []
      rmSync(folder, { recursive: true, force: true })
      resolve({
        file,
        text: text.trim(),
        failed: code !== 0,
        rows: [...told, ...(code === 0 ? (read?.(text) ?? []) : [])],
      })
    })
  })
}

const short = (value) =>
  Math.abs(value) >= 1000
    ? Math.round(value).toLocaleString('en')
    : Number(value.toPrecision(3)).toString()

/** Whether a goal like `≤ 1.10` holds; '' without one. */
function verdict({ ours, theirs, goal }) {
  const parts = /^([≤≥]) ([\d.]+)$/.exec(goal ?? '')
  if (parts === null) return ''
  const value = theirs === null ? ours : ours / theirs
  return (parts[1] === '≤' ? value <= Number(parts[2]) : value >= Number(parts[2]))
    ? 'met'
    : 'missed'
}

function tableOf(rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  const body = rows.map((one) =>
    line([
      one.what,
      `${short(one.ours)} ${one.unit}`,
      one.beside ?? '–',
      one.theirs === null ? '–' : short(one.theirs),
      one.theirs === null ? '–' : (one.ours / one.theirs).toFixed(2),
      one.goal ?? '–',
      verdict(one) || '–',
    ]),
  )
  return [
    line(['what', 'ours', 'beside', 'theirs', 'ours ÷ theirs', 'goal', 'here']),
    line(Array(7).fill('---')),
    ...body,
  ].join('\n')
}

const versionOf = (program) => {
  const { error, stdout, stderr } = spawnSync(program, ['-v'], { encoding: 'utf8' })
  return error ? 'not installed' : (/\d+\.\d+[\w.]*/.exec(stdout + stderr)?.[0] ?? '?')
}
const packageVersion = (name) =>
  JSON.parse(readFileSync(join(root, 'apps/gateway/node_modules', name, 'package.json'), 'utf8'))
    .version

function page(results, table, load) {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`
  const versions = [
    `node ${process.version}`,
    ...['fastify', 'undici', '@fastify/reply-from'].map(
      (name) => `${name} ${packageVersion(name)}`,
    ),
    ...['nginx', 'haproxy', 'wrk'].map((name) => `${name} ${versionOf(name)}`),
  ].join(', ')
  return `# Performance

Made by \`npm run bench -- --write\`; not written by hand. What counts are ratios within one run, and CPU time: servers take turns in short rounds, so that other work on the
machine hits all alike. \`npm run bench -- NAME\` runs one benchmark with its own options.

- ${new Date().toISOString().slice(0, 10)}; ${machine}; load ${load} at the beginning, ${loadavg()[0].toFixed(1)} at the end, benchmarks included
- ${versions}

${table}

A goal is for ours ÷ theirs, or for ours alone where nothing stands beside it. "missed" is left standing: it says what is still to be done, or that the machine was busy.

${results.map(({ file, text, failed }) => `## ${file}\n\n${failed ? 'It failed on this machine.' : `\`\`\`text\n${text}\n\`\`\``}\n`).join('\n')}`
}

const begun = loadavg()[0].toFixed(1)
const results = []
for (const one of plan) {
  if (only.length > 0 && !only.some((word) => one.file.includes(word))) continue
  if (!existsSync(join(root, one.file))) continue
  process.stdout.write(`\n== ${one.file} ${one.args.join(' ')}\n`)
  results.push(await run(one))
}
const table = tableOf(results.flatMap(({ rows }) => rows))
process.stdout.write(`\n${table}\n`)
for (const { file, failed } of results) if (failed) process.stdout.write(`failed: ${file}\n`)
if (write) writeFileSync(join(root, 'docs', 'performance.md'), page(results, table, begun))
process.exitCode = results.some(({ failed }) => failed) ? 1 : 0

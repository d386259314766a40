// `npm run bench`: runs every benchmark in a quick mode, one after the other, and prints one table of what was measured beside what.
// `--write` makes docs/performance.md of it; with names it measures these again and takes the others as they were measured last.
// `--list` only says which there are. Started by boot.mjs with the Node that runs TypeScript.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { benchFiles, helpersOf, strangers } from './bench-files.mjs'
import { BUSY_CORES, sampleOthers, watchOthers } from './bench-load.mjs'
import { pageOf, tableOf } from './bench-page.mjs'
import { plan } from './bench-plan.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
/** One benchmark may take so long; together they take a quarter of an hour. */
const LIMIT_MS = 180_000
const options = process.argv.slice(2).filter((word) => word.startsWith('--'))
const names = process.argv.slice(2).filter((word) => !word.startsWith('--'))

let current = null
for (const signal of ['SIGTERM', 'SIGINT'])
  process.once(signal, () => {
    current?.kill(signal)
    process.exit(143)
  })

/** Runs one benchmark; answers what it printed, the rows that it told, and what else the machine did. */
async function run({ file, args, flags = [], read }) {
  process.stdout.write(`\n== ${file} ${args.join(' ')}\n`)
  const before = await sampleOthers()
  const folder = mkdtempSync(join(tmpdir(), 'bench-rows-'))
  const rowsFile = join(folder, 'rows')
  const others = watchOthers()
  const begun = performance.now()
  const { code, text } = await spawned([...process.execArgv, ...flags, join(root, file), ...args], {
    cwd: join(root, file.split('/').slice(0, 2).join('/')),
    env: { ...process.env, BENCH_ROWS: rowsFile, NO_COLOR: '1' },
  })
  const seconds = (performance.now() - begun) / 1_000
  const foreign = Math.max(before, others())
  process.stdout.write(`${seconds.toFixed(0)} s, others took ${foreign.toFixed(2)} cores\n`)
  const told = existsSync(rowsFile) ? readFileSync(rowsFile, 'utf8').trim().split('\n') : []
  rmSync(folder, { recursive: true, force: true })
  const failed = code !== 0
  const rows = [...told.map((line) => JSON.parse(line)), ...(failed ? [] : (read?.(text) ?? []))]
  return { file, args, text: text.trim(), failed, seconds, foreign, rows }
}

function spawned(args, options) {
  const child = spawn(process.execPath, args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] })
  current = child
  const late = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (piece) => {
    text += piece
    process.stdout.write(piece)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(late)
      resolve({ code, text })
    })
  })
}

const unknown = strangers(root, plan)
for (const line of unknown) process.stderr.write(`${line}\n`)
if (options.includes('--list')) {
  process.stdout.write(`${plan.map(({ file }) => file).join('\n')}\n`)
  process.exit(unknown.length > 0 ? 1 : 0)
}
const files = benchFiles(root)
const results = []
for (const one of plan) {
  if (names.length > 0 && !names.some((word) => one.file.includes(word))) continue
  const at = new Date().toISOString()
  results.push({ at, ...(await run(one)), helpers: helpersOf(root, one.file, files) })
}
process.stdout.write(`\n${tableOf(results.flatMap(({ rows }) => rows))}\n`)
const busy = results.filter(({ foreign }) => foreign > BUSY_CORES)
if (busy.length > 0)
  process.stdout.write(`the machine was busy: ${busy.map(({ file }) => file).join(', ')}\n`)
const failed = results.filter((one) => one.failed)
for (const { file } of failed) process.stdout.write(`failed: ${file}\n`)
if (options.includes('--write')) writePage()
process.exitCode = failed.length > 0 || unknown.length > 0 ? 1 : 0

function writePage() {
  const kept = join(root, 'node_modules', '.cache', 'bench-results.json')
  const before = names.length > 0 && existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : []
  const whole = plan.flatMap(({ file }) =>
    [...results, ...before].filter((one) => one.file === file).slice(0, 1),
  )
  mkdirSync(dirname(kept), { recursive: true })
  writeFileSync(kept, JSON.stringify(whole))
  if (whole.length < plan.length) {
    process.stderr.write('not written: some were never measured here\n')
    return
  }
  const page = join(root, 'docs', 'performance.md')
  writeFileSync(page, pageOf(root, whole))
  spawnSync(join(root, 'node_modules', '.bin', 'oxfmt'), [page], { stdio: 'inherit' })
}

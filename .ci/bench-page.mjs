// What the benchmarks found, as one table and as the page docs/performance.md. It measures nothing.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { BUSY_CORES } from './bench-load.mjs'

/** Packages whose version says what was measured, and whose dependency each is. */
const packages = {
  'apps/gateway': ['fastify', 'undici', '@fastify/reply-from', 'http-proxy'],
  'packages/core': ['xstate'],
  'packages/realtime': ['ws'],
  'packages/queue': ['bullmq'],
}
const programs = { nginx: '-v', haproxy: '-v', wrk: '-v', 'redis-server': '-v' }

const short = (value) =>
  Math.abs(value) >= 1000
    ? Math.round(value).toLocaleString('en')
    : Number(value.toPrecision(3)).toString()
const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`

/** Whether a goal like `≤ 1.10` holds, for ours ÷ theirs or for ours alone; `–` without one. */
export function verdict({ ours, theirs, goal }) {
  const [, sign, limit] = /^([≤≥]) ([\d.]+)$/.exec(goal ?? '') ?? []
  if (sign === undefined) return '–'
  const value = theirs === null ? ours : ours / theirs
  // What could not be measured has not met its goal.
  return (sign === '≤' ? value <= Number(limit) : value >= Number(limit)) ? 'met' : '**missed**'
}

/** The one table. */
export function tableOf(rows) {
  const body = rows.map((one) =>
    line([
      one.what,
      `${short(one.ours)} ${one.unit}`,
      one.beside ?? '–',
      one.theirs === null ? '–' : short(one.theirs),
      one.theirs === null ? '–' : (one.ours / one.theirs).toFixed(2),
      one.goal ?? '–',
      verdict(one),
    ]),
  )
  const head = ['what', 'ours', 'beside', 'theirs', 'ours ÷ theirs', 'goal', 'here']
  return [line(head), line(head.map(() => '---')), ...body].join('\n')
}

function programVersion([name, flag]) {
  const { error, stdout, stderr } = spawnSync(name, [flag], { encoding: 'utf8' })
  return `${name} ${error ? 'not installed' : (/\d+\.\d+[\w.]*/.exec(stdout + stderr)?.[0] ?? '?')}`
}

function versions(root) {
  const installed = Object.entries(packages).flatMap(([owner, names]) =>
    names.flatMap((name) => {
      const manifest = join(root, owner, 'node_modules', name, 'package.json')
      return existsSync(manifest)
        ? [`${name} ${JSON.parse(readFileSync(manifest, 'utf8')).version}`]
        : []
    }),
  )
  return [`node ${process.version}`, ...installed, ...Object.entries(programs).map(programVersion)]
}

function weather(results) {
  const most = Math.max(...results.map(({ foreign }) => foreign))
  const busy = results.filter(({ foreign }) => !(foreign <= BUSY_CORES))
  if (busy.length === 0)
    return `The machine was quiet: other programs took at most ${most.toFixed(2)} cores beside any of them.`
  const list = busy.map(({ file, foreign }) => `\`${file}\` (${foreign.toFixed(2)} cores)`)
  return `> **The machine was busy.** Other programs took more than ${BUSY_CORES} cores beside ${list.join(', ')}. Numbers of these are weak, a goal missed there may hold on a quiet machine, and one met may not.`
}

const quoted = (word) => (/[^\w./,=-]/.test(word) ? `'${word}'` : word)

const dayAndTime = (iso) => iso.slice(0, 16).replace('T', ' ')

function sectionOf({ at, file, args, helpers, seconds, foreign, failed, text }) {
  const parts =
    helpers.length === 0 ? '' : `\n\nWith ${helpers.map((one) => `\`${one}\``).join(', ')}.`
  const told = failed ? '**It failed on this machine.**\n\n' : ''
  return `## ${file}

\`${['node', file, ...args.map(quoted)].join(' ')}\`, ${dayAndTime(at)} UTC, ${seconds.toFixed(0)} s, others took ${foreign.toFixed(2)} cores.${parts}

${told}\`\`\`text
${text}
\`\`\`
`
}

/** The whole page. */
export function pageOf(root, results) {
  const begun = results.map(({ at }) => at).toSorted()[0] ?? ''
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`
  const rows = results.flatMap((one) => one.rows)
  const missed = rows.filter((row) => verdict(row) === '**missed**').length
  const goals = rows.filter((row) => verdict(row) !== '–').length
  const took = results.reduce((sum, { seconds }) => sum + seconds, 0) / 60
  return `# Performance

Made by \`npm run bench -- --write\`; not written by hand. What counts are ratios within one run, and CPU time: whoever is compared takes turns in short rounds, so that
other work on the machine hits all alike. \`npm run bench -- NAME\` runs one benchmark with its own options, for longer and steadier numbers.

- ${dayAndTime(begun)} UTC; ${machine}; ${took.toFixed(0)} minutes
- ${versions(root).join(', ')}

${weather(results)}

${goals} goals, ${missed} missed. A goal is for ours ÷ theirs, or for ours alone where nothing stands beside it. What is missed is left standing: it says what is still to be done.

${tableOf(rows)}

${results.map(sectionOf).join('\n')}`
}

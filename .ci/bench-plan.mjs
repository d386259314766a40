// Every benchmark of the repository with the arguments of its quick run (together twelve minutes), and how its own output becomes rows of
// the one table. A benchmark that writes rows itself (BENCH_ROWS) needs no reader. It runs nothing.

/** The first `console.table` of a text: a list of objects by the names of its columns. */
function consoleTable(text) {
  const lines = text.split('\n').filter((line) => line.startsWith('│'))
  const cells = (line) =>
    line
      .split('│')
      .slice(1, -1)
      .map((cell) => cell.trim().replace(/^'(.*)'$/, '$1'))
  const [head = [], ...rows] = lines.map(cells)
  return rows.map((row) =>
    Object.fromEntries(row.map((cell, i) => [i === 0 ? 'name' : head[i], cell])),
  )
}

const row = (what, ours, unit, beside = null, theirs = null, goal = null) => ({
  what,
  ours,
  unit,
  beside,
  theirs,
  goal,
})
const number = (text, pattern) => Number(pattern.exec(text)?.[1]?.replaceAll(',', '') ?? Number.NaN)

/** Lines of cells, of a Markdown table. */
const markdownRows = (text) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
const count = (text) => Number.parseFloat(text?.replaceAll(',', '') ?? 'NaN')
/** The last number of the line that begins with these words: that of 100 000 runners. */
const last = (text, words) =>
  count(
    text
      .split('\n')
      .find((line) => line.startsWith(words))
      ?.match(/[\d.,]+(?= M\/s|$)/g)
      ?.at(-1),
  )
const alone = (what, ours, unit, goal = null) => row(what, ours, unit, null, null, goal)

export const plan = [
  { file: 'apps/gateway/bench/proxy.ts', args: ['--rounds', '3', '--seconds', '1', '--paced'] },
  { file: 'apps/gateway/bench/start.ts', args: ['--rounds', '7'] },
  {
    file: 'apps/gateway/bench/eject.ts',
    // `node apps/gateway/bench/eject.ts` has all faults, the others in front beside each.
    args: [
      '--seconds',
      '6',
      '--faults',
      '503, health 200;500;hang;reset;gone',
      '--beside',
      '503, health 200;hang',
    ],
  },
  {
    file: 'apps/gateway/bench/tail.ts',
    // The other faults, and HAProxy beside, take four minutes more.
    args: ['--rounds', '4', '--faults', '503', '--only', 'gateway'],
  },
  { file: 'apps/gateway/bench/submit.ts', args: ['--rounds', '4', '--seconds', '2'] },
  {
    file: 'apps/gateway/bench/replay.ts',
    args: ['--hours', '6'],
    read: (text) => [
      alone(
        'what-if of a day of 1 000 runners',
        number(text, /failureThreshold 2 .*?([\d.]+) s a day/),
        's CPU',
        '≤ 10',
      ),
    ],
  },
  { file: 'packages/fastify/bench/health.ts', args: ['3'] },
  {
    file: 'packages/core/bench/machine.ts',
    args: [],
    read(text) {
      const rows = consoleTable(text)
      const of = (name) => Number(rows.find((one) => one.name === name)?.['100000'])
      return [
        row(
          'core: compiled table, in place',
          of('compiled, in place'),
          'transitions/s at 100 000 runners',
          'xstate, pure',
          of('xstate, pure'),
          '≥ 70',
        ),
      ]
    },
  },
  {
    file: 'packages/core/bench/step.ts',
    args: [],
    flags: ['--expose-gc'],
    read: (text) => [
      alone('core: state changes at 100 000 runners', last(text, 'state changes'), 'M/s', '≥ 1'),
      alone(
        'core: `place` and `judge` at 100 000 runners',
        last(text, 'place and judge, 1 slot'),
        'M/s',
        '≥ 20',
      ),
      alone('core: an idle runner', last(text, 'bytes per idle runner'), 'B', '≤ 600'),
      alone('core: longest pause of a snapshot', last(text, 'snapshot: begin'), 'ms', '≤ 20'),
    ],
  },
  {
    file: 'packages/core/bench/nodes.ts',
    args: [],
    read: (text) => [
      alone(
        'core: 8 000 devices, a sample each second',
        number(text, /share of one core\s+([\d.]+)/),
        '% of a core',
        '≤ 20',
      ),
    ],
  },
  {
    file: 'packages/queue/bench/queue.ts',
    args: ['1', 'queue,sqlite,bullmq', '1'],
    read(text) {
      const rows = markdownRows(text)
      const mine = rows.find(([name]) => name === 'this queue') ?? []
      const goals = { 3: '≥ 3.00', 6: '≥ 3.00', 9: '≥ 5.00' }
      const columns = { 3: 'add, 100 at once', 6: 'drain', 9: 'end to end, 100 at once' }
      return rows
        .filter(([name]) => /^(SQLite|BullMQ)/.test(name))
        .flatMap((theirs) =>
          Object.entries(columns).map(([at, what]) =>
            row(
              `queue: ${what}`,
              count(mine[at]),
              'jobs/s',
              theirs[0],
              count(theirs[at]),
              theirs[0].startsWith('BullMQ') ? goals[at] : null,
            ),
          ),
        )
        .concat(
          alone(
            'queue: event loop held at 5 000 jobs/s, p99',
            count(mine[12]?.split('/')[1]),
            'ms',
            '≤ 2',
          ),
        )
    },
  },
  {
    file: 'packages/queue/bench/open.ts',
    args: ['1000000', '2'],
    flags: ['--expose-gc'],
    read: (text) => [
      alone(
        'queue: opened with a million that wait',
        number(text, /open in (\d+) ms/),
        'ms',
        '≤ 3000',
      ),
    ],
  },
  { file: 'packages/prober/bench/prober.ts', args: [] },
  { file: 'packages/realtime/bench/channel.ts', args: ['1000', '8'] },
  {
    file: 'packages/supervisor/bench/supervisor.ts',
    args: ['10000'],
    read: (text) => [
      alone(
        'supervisor: facts through loop and journal',
        number(text, /^facts without orders.*?([\d,.]+) per s$/m),
        'facts/s',
      ),
      alone(
        'supervisor: longest pause while the snapshot of 10 000 runners is written',
        number(text, /^longest pause .*?([\d.]+) ms$/m),
        'ms',
        '≤ 20',
      ),
    ],
  },
  {
    file: 'packages/host/bench/flood.ts',
    args: ['3'],
    read: (text) => [
      alone(
        'host: a runner that floods its output',
        number(text, /our CPU ([\d.]+) %/),
        '% of a core',
      ),
    ],
  },
  {
    file: 'packages/gpu/bench/nvml.ts',
    args: [],
    read: (text) => [
      alone('gpu: one sample of 8 devices', number(text, /together ([\d.]+) ms/), 'ms CPU', '≤ 1'),
    ],
  },
]

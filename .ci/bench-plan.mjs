// Every benchmark of the repository with the arguments of its quick run, and how its own output becomes rows of the one table.
// A benchmark that writes rows itself (BENCH_ROWS) needs no reader. It runs nothing.

/** The first `console.table` of a text: a list of objects by the names of its columns. */
function consoleTable(text) {
  const lines = text.split('\n').filter((line) => line.startsWith('│'))
  const cells = (line) =>
    line
      .split('│')
      .slice(1, -1)
      .map((cell) => cell.trim().replace(/^'(.*)'$/, '$1'))
  const [head = [], ...rows] = lines.map(cells)
  return rows.map((row) => Object.fromEntries(row.map((cell, i) => [head[i] || 'name', cell])))
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

export const plan = [
  { file: 'apps/gateway/bench/proxy.ts', args: ['--rounds', '3', '--seconds', '1'] },
  { file: 'apps/gateway/bench/start.ts', args: ['--rounds', '3'] },
  { file: 'apps/gateway/bench/eject.ts', args: ['--seconds', '6'] },
  { file: 'apps/gateway/bench/replay.ts', args: [] },
  { file: 'packages/fastify/bench/health.ts', args: ['4'] },
  {
    file: 'packages/core/bench/machine.ts',
    args: [],
    read(text) {
      const rows = consoleTable(text)
      const of = (name) => Number(rows.find((one) => one.name === name)?.['100000'])
      const unit = 'transitions/s at 100 000 runners'
      return [
        row(
          'core: compiled table, in place',
          of('compiled, in place'),
          unit,
          'xstate, pure',
          of('xstate, pure'),
          '≥ 70',
        ),
      ]
    },
  },
  { file: 'packages/core/bench/step.ts', args: [] },
  {
    file: 'packages/core/bench/nodes.ts',
    args: [],
    read: (text) => [
      row(
        'core: 8 000 devices, a sample each second',
        number(text, /share of one core\s+([\d.]+)/),
        '% of a core',
        null,
        null,
        '≤ 20',
      ),
    ],
  },
  {
    file: 'packages/queue/bench/queue.ts',
    args: ['1', 'queue,sqlite,bullmq', '1'],
    read: (text) =>
      text
        .split('\n')
        .filter((line) => line.startsWith('| this queue / '))
        .map((line) => {
          const cells = line.split('|').map((cell) => cell.trim())
          return row(
            'queue: add, 100 at once',
            Number.parseFloat(cells[4]),
            '×',
            cells[1].replace('this queue / ', ''),
            1,
          )
        }),
  },
  {
    file: 'packages/prober/bench/prober.ts',
    args: ['--rounds', '1', '--seconds', '3'],
    read(text) {
      const rows = consoleTable(text)
      const cost = (one) => Number(one?.microsPerProbe)
      const mine = rows.find((one) => one.name === 'this prober')
      return rows
        .filter((one) => one !== mine)
        .map((one) =>
          row(
            'prober: 2000 targets a second',
            cost(mine),
            'CPU µs/probe',
            one.name,
            cost(one),
            '≤ 0.45',
          ),
        )
    },
  },
  { file: 'packages/realtime/bench/channel.ts', args: ['1000', '1'] },
  { file: 'packages/supervisor/bench/supervisor.ts', args: ['10000'] },
  { file: 'packages/host/bench/flood.ts', args: ['3'] },
  {
    file: 'packages/gpu/bench/nvml.ts',
    args: [],
    read: (text) => [
      row(
        'gpu: one sample of 8 devices',
        number(text, /together ([\d.]+) ms/),
        'ms CPU',
        null,
        null,
        '≤ 1',
      ),
    ],
  },
]

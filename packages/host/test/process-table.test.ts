import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { isAlive, parseStat, processTable, psTable } from '../src/process-table.ts'

/** A line of /proc/PID/stat with this name and state. */
const line = (name: string, state: string): string =>
  `4242 (${name}) ${state} 1 4241 4241 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000000 200 18446744073709551615`

test.for(['node', 'a b', 'a) Z 1 (b', '((', 'x\n) S'])(
  'a process named %j is read right',
  (name) => {
    expect(parseStat(line(name, 'S'), 'boot')).toEqual({
      pid: 4242,
      state: 'S',
      group: 4241,
      startTime: '987654-boot',
    })
  },
)

test.for(['', '42', '42 (x', '42 (x) S 1', `42 x${' S 1'.repeat(20)}`])(
  '%j is no process',
  (text) => {
    expect(parseStat(text, 'boot')).toBe(null)
  },
)

test.for([
  ['S', '987654-boot', true],
  ['T', '987654-boot', true],
  ['Z', '987654-boot', false],
  ['X', '987654-boot', false],
  ['S', '987655-boot', false],
  ['S', '987654-later', false],
] as const)('state %s, asked for start %s: alive is %s', ([state, startTime, alive]) => {
  expect(isAlive(parseStat(line('x', state), 'boot'), startTime)).toBe(alive)
})

test('nothing is alive that is not there', () => {
  expect(isAlive(null, '1')).toBe(false)
})

test.for([
  ['linux', true],
  ['darwin', true],
  ['win32', false],
] as const)('%s has a table: %s', ([platform, has]) => {
  expect(processTable(platform) !== null).toBe(has)
})

test('where there is no /proc, ps is read', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ps-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const ps = join(dir, 'ps')
  // What macOS prints for these columns; -p of a pid that is not there prints nothing and fails.
  writeFileSync(
    ps,
    `#!/bin/sh
case "$*" in
  "-ax -o pid=,pgid=,stat=,lstart=") echo "    1     1 Ss   Fri Nov 21 08:00:01 2026    "; echo " 4242  4241 Z+   Fri Nov 21 10:05:09 2026    " ;;
  "-p 1 -o pid=,pgid=,stat=,lstart=") echo "    1     1 Ss   Fri Nov 21 08:00:01 2026    " ;;
  *) exit 1 ;;
esac
`,
  )
  chmodSync(ps, 0o755)
  const table = psTable(ps)
  const first = { pid: 1, group: 1, state: 'Ss', startTime: 'Fri Nov 21 08:00:01 2026' }
  expect(table.find(1)).toEqual(first)
  expect(table.find(7)).toBe(null)
  expect(await table.all()).toEqual([
    first,
    { pid: 4242, group: 4241, state: 'Z+', startTime: 'Fri Nov 21 10:05:09 2026' },
  ])
})

/**
 * `health replay JOURNAL`: what another policy would have done with a recorded journal, life by life, as a table, JSON or a picture. The
 * core compares; this reads the files and prints. It starts nothing and changes no journal.
 */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { beginWhatIf, HealthError, type WhatIfResult } from '@health/core'
import { readConfigFile } from '../config-file.ts'
import { sectionFields } from '../config-table.ts'
import { exits, painter, printJson, readArguments, required, type Command } from './command.ts'
import { openJournal } from './journal-source.ts'
import { lifeRows, summary } from './replay-text.ts'
import { plain, textTable } from './text-table.ts'
import { timeline } from './timeline.ts'
import { wrap } from './wrap.ts'

/** Lives that the table shows at most; JSON has all of them. */
const ROWS = 200

/** The command. */
export const replay: Command = {
  help: `usage: health replay JOURNAL [--policy FILE] [--json] [--svg FILE]

JOURNAL is a data directory, its journal folder or one file of it. Without --policy it shows what really happened.

  --policy FILE  options that differ, JSON, YAML, TypeScript or JavaScript: { failureThreshold: 5 }, for one app
                 { apps: { OWNER/ALIAS: { startPeriodSeconds: 60 } } }; a whole configuration will do
  --svg FILE     writes a timeline of the lives, for a browser
  --json         everything, life by life; times are observed ms

Each life is the same, ends earlier (certain), is spared and then unknown, ends by another rule, or is not sure. These are never added up:
the journal holds what the recorded policy let happen. Options that change what would have been observed are refused by name.

Exit codes: 0 ok; 1 usage, or an option that no journal can answer; 3 the journal cannot be read; 5 there is none.
`,
  async run(args, terminal) {
    const { values, positionals } = readArguments(
      args,
      { json: { type: 'boolean' }, policy: { type: 'string' }, svg: { type: 'string' } },
      1,
    )
    const path = resolve(terminal.caller, required(positionals[0], 'JOURNAL'))
    const change =
      values.policy === undefined ? {} : await readPolicy(resolve(terminal.caller, values.policy))
    const journal = await openJournal(path)
    const following = beginWhatIf(journal.start, change)
    const warning = await journal.read((event) => following.take(event))
    const result = following.finish()
    if (warning !== null) terminal.err(`warning: ${warning}`)
    if (values.svg !== undefined) {
      const file = resolve(terminal.caller, values.svg)
      try {
        await writeFile(file, timeline(result))
      } catch (error) {
        throw new HealthError(
          'HEALTH_USAGE',
          `${file} cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown'}). Name another with --svg.`,
        )
      }
      // stdout belongs to the answer.
      terminal.err(`wrote ${file}`)
    }
    if (values.json === true) {
      printJson(terminal, { journal: path, ...result })
      return exits.ok
    }
    print(result, values.policy !== undefined, terminal)
    return exits.ok
  },
}

function print(
  result: WhatIfResult,
  changed: boolean,
  terminal: Parameters<typeof painter>[0],
): void {
  const paint = painter(terminal)
  for (const [name, text] of summary(result, changed))
    terminal.out(`${wrap(`${paint('bold', name.padEnd(12))}${plain(text)}`, 12).join('\n')}\n`)
  const rows = lifeRows(result, changed)
  if (rows.length === 0) return
  terminal.out(
    `\n${textTable(
      ['Runner', 'Life', 'App', 'Began', 'Really', ...(changed ? ['Otherwise', 'What then'] : [])],
      rows.slice(0, ROWS).map((row) => row.map(plain)),
    )}`,
  )
  if (rows.length > ROWS)
    terminal.out(`… and ${rows.length - ROWS} more; --json has all of them.\n`)
}

/** Parts of a configuration that decide nothing about a life. */
const idle: ReadonlySet<string> = new Set([...Object.keys(sectionFields), 'dataDir'])
const idleOfApp: ReadonlySet<string> = new Set(['command', 'urls', 'cwd', 'env'])

const without = (value: unknown, names: ReadonlySet<string>): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).filter(([name]) => !names.has(name)))
    : value

async function readPolicy(file: string): Promise<unknown> {
  if (!existsSync(file))
    throw new HealthError(
      'HEALTH_CONFIG_FILE',
      `${file} does not exist. Name the options that differ with --policy.`,
    )
  const whole = (await readConfigFile(file)) as { gpu?: { xid?: unknown } } | null
  // Of the GPUs only this decides about lives: an override of the Xid table is one of the policy.
  const xid = whole?.gpu?.xid
  const rest = without(whole, idle)
  const change = xid === undefined ? rest : { ...(rest as object), xid }
  if (typeof change !== 'object' || change === null || !('apps' in change)) return change
  const { apps } = change
  if (typeof apps !== 'object' || apps === null || Array.isArray(apps)) return change
  return {
    ...change,
    apps: Object.fromEntries(
      Object.entries(apps).map(([app, options]) => [app, without(options, idleOfApp)]),
    ),
  }
}

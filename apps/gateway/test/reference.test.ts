// The reference pages of the configuration and the command line are made from the code's own tables: page and code cannot differ.
// `UPDATE_DOCS=1` writes them.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { allowed } from '@health/core'
import { expect, test } from 'vitest'
import { commands } from '../src/command/cli.ts'
import type { FieldSpec } from '../src/config-field.ts'
import { sectionFields } from '../src/config-table.ts'

const folder = fileURLToPath(new URL('../../../docs/reference/', import.meta.url))

const words = (spec: FieldSpec): string => {
  switch (spec.kind) {
    case 'text':
      return 'a text'
    case 'command':
      return 'a list: program, arguments'
    case 'texts':
      return 'a list of texts'
    case 'secrets':
      return 'a list of keys'
    default:
      return allowed(spec)
  }
}
const rows = Object.entries(sectionFields).flatMap(([section, fields]) =>
  Object.entries(fields).map(
    ([field, spec]: [string, FieldSpec]) =>
      `| \`${section}.${field}\` | \`${JSON.stringify(spec.default)}\` | ${words(spec)} | ${spec.reason} |`,
  ),
)

const configuration = `# Configuration

\`health.config.{ts,js,json,yaml}\` of the process's folder, or \`--config F\`; flag over environment (\`PORT\`, \`HOST\`, \`HEALTH_DATA_DIR\`, \`HEALTH_CONFIG\`) over file over
default; no file is the built-in demo. An unknown name is an error that says the nearest known one. \`env:NAME\` as a value is the variable's; unset, the entry is absent,
with a warning. Relative paths start at the file's folder. \`health validate F\` checks a file and starts nothing.

| option | default | allowed | why |
| --- | --- | --- | --- |
${rows.join('\n')}
| \`dataDir\` | \`".health"\` | a folder | journal, snapshots, logs of runners, queue |
| \`policy\` | \`{}\` | [options](policy.md) | tunables of every app; \`apps.X.policy\` overrides them |

Each app under \`apps\` is named \`owner/alias\` and has, beside its [options](policy.md):

| option | default | allowed | why |
| --- | --- | --- | --- |
| \`command\` | – | a list: program, arguments | how a runner is started, without a shell; \`{port}\`, \`{runner}\` and \`{device}\` are replaced; this or \`urls\` |
| \`urls\` | – | a list of \`http://HOST:PORT\` | servers that already run and are adopted; one that leaves the list serves until as many listed ones do |
| \`cwd\` | \`"."\` | a folder | where the command runs |
| \`env\` | \`{}\` | names and values | variables of the runner, beside \`PORT\`, \`HEALTH_RUNNER_ID\`, \`HEALTH_APP\`, \`FAL_RUNNER_STATE\`, \`PATH\`, \`HOME\` and, with heartbeats, \`HEALTH_HEARTBEAT_URL\` |
| \`policy\` | \`{}\` | [options](policy.md) | tunables of this app |

SIGHUP and \`POST /v1/reload\` read the file again. An app whose \`command\`, \`env\`, \`cwd\` or \`urls\` changed is replaced runner by runner, successor first; one that is gone
drains. Keys count from the next call; a live connection that an older key opened stays until it ends. \`listen\`, \`dataDir\`, \`queue\`, \`journal\`, \`gpu\` and \`logs\` are read at the start
only; a change of them is said, in the log and as \`restart\` in the answer. An invalid file changes nothing.
`

const cli = async (): Promise<string> => {
  const parts = [
    '# Command line\n\nThe binary is `health`; in the repository `npm run -s health -- ARGS`. `HEALTH_URL` and `HEALTH_KEY` say which gateway it talks to. `health --version` says which version it is.\n',
  ]
  for (const [name, { summary, load }] of Object.entries(commands))
    parts.push(
      `## health ${name}\n\n${summary}\n\n\`\`\`text\n${(await load()).help.trimEnd()}\n\`\`\`\n`,
    )
  return parts.join('\n')
}

test.for([
  ['configuration.md', async () => configuration],
  ['command-line.md', cli],
] as const)('%s', async ([file, make]) => {
  const page = await make()
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(folder + file, page)
  expect(readFileSync(folder + file, 'utf8')).toBe(page)
})

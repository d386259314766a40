/** The reference pages as text, made from the core's own tables, so that page and code cannot differ. It writes nothing. */
import {
  alerts,
  allowed,
  appOptions,
  commandShapes,
  errorCodes,
  eventShapes,
  objectShapes,
  healthCheckOptions,
  type OptionSpec,
  nodeMachine,
  outcomes,
  reasons,
  requestMachine,
  rules,
  runnerMachine,
  tunables,
} from '@health/core'
import { picture } from './picture.ts'

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [
    `| ${head.join(' | ')} |`,
    `| ${head.map(() => '---').join(' | ')} |`,
    ...rows.map((row) => `| ${row.map(cell).join(' | ')} |`),
  ].join('\n')
const code = (text: string): string => `\`${text}\``

const options = (specs: Readonly<Record<string, OptionSpec>>): string =>
  table(
    ['option', 'default', 'allowed', 'why'],
    Object.entries(specs).map(([name, spec]) => [
      code(name),
      spec.default === null ? '–' : code(JSON.stringify(spec.default)),
      allowed(spec),
      spec.reason,
    ]),
  )

const fields = (shape: Readonly<Record<string, string>>): string =>
  Object.entries(shape)
    .map(([name, kind]) => `${code(name)} ${kind}`)
    .join(', ') || '–'

/** Every generated page by its file name. */
export const pages: Readonly<Record<string, string>> = {
  'events.md': `# Events

Facts, past tense. Each carries \`at\` (observed ms) and, once journaled, \`seq\`. \`POST /v1/events\` takes exactly these without \`at\` and \`seq\`.
A question mark: the field may be absent; \`|null\`: it may be null. Counts are whole numbers from 0, tallies are counts by name; ${Object.entries(
    objectShapes,
  )
    .map(([kind, shape]) => `${kind} ${fields(shape)}`)
    .join('; ')}.

${table(
  ['event', 'from', 'says', 'fields'],
  Object.entries(eventShapes).map(([type, shape]) => [
    code(type),
    shape.from,
    shape.says,
    fields(shape.fields),
  ]),
)}
`,
  'commands.md': `# Commands

Orders, imperative, idempotent by \`id\`: the same order has the same id, after a crash too.

${table(
  ['command', 'to', 'says', 'id', 'fields'],
  Object.entries(commandShapes).map(([type, shape]) => [
    code(type),
    shape.to,
    shape.says,
    code(shape.id),
    fields(shape.fields),
  ]),
)}
`,
  'rules.md': `# Rules

The same name in the chart, in the decision, here and in the test. Of a rule with a fact in the last column no number of a policy would have decided otherwise; where a limit is named, a larger one would have let it go on, to an end that no journal knows.

${table(
  ['rule', 'says', 'a fact, because'],
  Object.entries(rules).map(([name, rule]) => [
    code(name),
    rule.says,
    'fact' in rule ? `${rule.fact}${'limit' in rule ? ` (limit: ${code(rule.limit)})` : ''}` : '',
  ]),
)}
`,
  'reasons.md': `# Reasons and alerts

Why a life ended, a closed set, never text: ${reasons.map(code).join(', ')}.

Alerts, a closed set: ${alerts.map(code).join(', ')}.
`,
  'status-codes.md': `# Status codes

What the way an attempt ended means. The rule's name is \`outcome.\` and the outcome.

${table(
  [
    'outcome',
    'when',
    'runner',
    'reason',
    'queued request is tried again under',
    'caller gets, without an answer of the runner',
  ],
  Object.entries(outcomes).map(([name, row]) => [
    code(name),
    row.when,
    row.runner,
    row.reason === null ? '–' : code(row.reason),
    row.condition === null ? 'no' : code(row.condition),
    row.answer === null
      ? 'the answer as it is'
      : `${row.answer.status} ${code(row.answer.errorType)}`,
  ]),
)}
`,
  'errors.md': `# Errors

Every error has a code, a sentence and, where a field is wrong, its path.

${table(
  ['code', 'means, and what to do'],
  Object.entries(errorCodes).map(([name, text]) => [code(name), text]),
)}
`,
  'policy.md': `# Options that decide

Times in seconds, decimals allowed. A dash: derived or off; the last column says which.

## Health check

${options(healthCheckOptions)}

## App

${options(appOptions)}

## Policy

Global under \`policy\`, per app under \`apps.X.policy\`.

${options(tunables)}
`,
  'machines.md': `# Machines

Drawn from the definitions. The same as pictures: [runner](machine-runner.svg), [request](machine-request.svg), [node](machine-node.svg); live: \`health inspect\`.

## Runner

${picture(runnerMachine)}

## Request

${picture(requestMachine)}

## Node

${picture(nodeMachine)}
`,
}

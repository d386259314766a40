/**
 * `health explain ID`: why the last decision about a runner, request or node was taken, and what would have changed it. The gateway knows;
 * this only prints it.
 */
import {
  exits,
  painter,
  printJson,
  readArguments,
  required,
  type Command,
  type Terminal,
} from './command.ts'
import { connectGateway, NotFound, type GatewayClient } from './gateway-client.ts'
import { runbookPage } from './runbook.ts'
import { plain } from './text-table.ts'
import { wrap } from './wrap.ts'

type Item = Record<string, unknown>

/** The command. */
export const explain: Command = {
  help: `usage: health explain ID [--json]

ID is a runner's, a request's or a node's. It shows what led to the last decision, the nearest policy that would have decided otherwise
(proved by a replay of the journal), and the page of the runbook that says what to do.
`,
  async run(args, terminal) {
    const { values, positionals } = readArguments(args, { json: { type: 'boolean' } }, 1)
    const answer = await find(connectGateway(terminal), required(positionals[0], 'ID'))
    if (values.json === true) printJson(terminal, answer)
    else print(terminal, answer)
    return exits.ok
  },
}

/** Asks for a runner, then a request, then a node: an id is of one kind only. */
async function find(client: GatewayClient, id: string): Promise<Item> {
  let known: string | null = null
  for (const kind of ['runners', 'requests', 'nodes']) {
    try {
      return await client.get(`/v1/${kind}/${encodeURIComponent(id)}/explain`)
    } catch (error) {
      if (!(error instanceof NotFound)) throw error
      // There is one, and nothing was decided about it: what is said of it is the answer.
      if (!error.message.startsWith('There is no ')) known ??= error.message
    }
  }
  throw new NotFound(
    known ??
      `Nothing is known of "${plain(id)}": no runner, request or node has this id, or no decision was taken about it.`,
  )
}

/** Lines of one screen. */
const SCREEN = 24
/** Where the text of a link begins, below its time of day. */
const INDENT = 16

/** What was compared comes behind these words, one reading a line. */
const LOOKED = '; looked at '

/** What happened last is what a person asked about: time of day alone, where the date is the decision's. */
function clock(at: string, day: string): string {
  return at.startsWith(day) && day.length === 10 ? at.slice(11).replace(/Z$/, '') : at
}

function print(terminal: Terminal, answer: Item): void {
  const paint = painter(terminal)
  const decision = (answer['decision'] ?? {}) as Item
  const [kind, rule, from, to, at] = ['kind', 'rule', 'from', 'to', 'at'].map((name) =>
    plain(name === 'kind' ? answer[name] : decision[name]),
  ) as [string, string, string, string, string]
  const because = decision['because'] === null ? null : plain(decision['because'])
  const moved = from === to ? `stays ${from}` : `${from} → ${to}`
  const head = [
    ...wrap(
      `${paint('bold', `${kind} ${plain(answer['id'])}`)}: ${moved} by ${paint('bold', rule)}${at === '' ? '' : ` at ${at}`}`,
      2,
    ),
    ...(decision['enforced'] === false
      ? [paint('yellow', `not enforced, because of ${because}`)]
      : []),
  ]
  const chain = Array.isArray(answer['chain']) ? (answer['chain'] as Item[]) : []
  const silent = (decision['compared'] as Item[]).some(({ option }) => option === 'ttlSeconds')
  const page = runbookPage(kind, silent ? 'health.heartbeat' : rule, because)
  const foot = [...wrap(whatElse(answer, chain), 2), ...(page === null ? [] : [`runbook: ${page}`])]
  const links = chain
    .filter(({ text }) => !NEVER.test(String(text)))
    .map((link) => {
      const time = paint('dim', clock(plain(link['at']), at.slice(0, 10)))
      const [said, read] = plain(link['text']).split(LOOKED, 2)
      return [
        ...wrap(`  ${time}  ${said}`, INDENT),
        ...(read?.split('; ') ?? []).flatMap((each) =>
          wrap(`${' '.repeat(INDENT + 2)}${each}`, INDENT + 4),
        ),
      ]
    })
  // The end of the story is what counts: of the beginning it is only said how much there is.
  const room = SCREEN - 1 - head.length - foot.length
  let first = links.length
  let used = 0
  const takes = (index: number): number => links[index]!.length + (index > 0 ? 1 : 0)
  while (first > 0 && used + takes(first - 1) <= room) used += links[--first]!.length
  first = Math.min(first, Math.max(0, links.length - 1))
  const earlier = first > 0 ? [`  … ${first} earlier`] : []
  const lines = [...head, ...earlier, ...links.slice(first).flat(), ...foot]
  terminal.out(`${lines.join('\n')}\n`)
}

/** How a chain ends that knows of no other number. */
const NEVER = /^no (single )?policy number would have changed this|^\w+ decided it: /

/** What would have changed it; that nothing would; or that nothing could be proved, which is not the same. */
function whatElse(answer: Item, chain: readonly Item[]): string {
  const other = answer['counterfactual'] as Item | null | undefined
  if (other)
    return `with ${plain(other['option'])} ${plain(other['needed'])} in place of ${plain(other['actual'])} it would have gone otherwise (a replay proves it)`
  const fact = chain.findLast(({ text }) => NEVER.test(String(text)))
  return fact === undefined
    ? 'no number of the policy could be proved to have changed it: a proof needs the journal from its beginning'
    : plain(fact['text'])
}

/**
 * The command `check URL`: one health check for CI and Docker, as an exit code and one line. It writes where it is told and
 * ends no process.
 */
import { parseArgs } from 'node:util'
import { checkUrl, type UrlCheck } from './check-url.ts'

/** What the command ends with. */
export const checkExitCodes = { healthy: 0, usage: 1, unreachable: 2, unhealthy: 4 } as const

/** Where the command writes lines. */
export interface CommandOutput {
  out(line: string): void
  error(line: string): void
}

export const checkUsage = `Usage: health check URL [--timeout 10] [--format text|json] [--docker]

Asks a health endpoint once.

  --timeout SECONDS   longest time for everything (10)
  --format FORMAT     text or json (text); --json is short for json
  --docker            exit 0 or 1 only, as Docker's HEALTHCHECK wants it
  --help              this text

Exit codes: 0 healthy, 1 usage, 2 cannot connect, 4 unhealthy.`

/**
 * Runs the command with what follows `check`, and gives the exit code. Never rejects. `headersFor` gives headers to add, a key
 * for an address that should have it.
 */
export async function checkCommand(
  args: readonly string[],
  output: CommandOutput,
  headersFor: (url: URL) => Readonly<Record<string, string>> = () => ({}),
): Promise<number> {
  const given = read(args)
  if (typeof given === 'string') {
    output.error(`health check: ${given}. Try: health check --help`)
    return checkExitCodes.usage
  }
  if (given === null) {
    output.out(checkUsage)
    return 0
  }
  const result = await checkUrl(given.url, given.timeout, headersFor(given.url))
  if (given.json) output.out(printed(result))
  else if (result.healthy) output.out(describe(result))
  else output.error(describe(result))
  const code = exitCode(result)
  return given.docker ? Math.min(code, 1) : code
}

const printed = ({ reached: _, ...shown }: UrlCheck): string => JSON.stringify(shown)

function exitCode({ healthy, reached }: UrlCheck): number {
  if (healthy) return checkExitCodes.healthy
  return reached ? checkExitCodes.unhealthy : checkExitCodes.unreachable
}

function describe({ healthy, url, status, latencyMs, failed, reached }: UrlCheck): string {
  if (healthy) return `healthy: ${url} answered ${status} in ${latencyMs} ms`
  const why = failed.join(', ')
  if (!reached) return `cannot connect: ${url}: ${why} after ${latencyMs} ms`
  if (status === null) return `unhealthy: ${url} gave no whole answer: ${why} after ${latencyMs} ms`
  return `unhealthy: ${url} answered ${status} in ${latencyMs} ms: ${why}`
}

interface Given {
  readonly url: URL
  readonly timeout: number
  readonly json: boolean
  readonly docker: boolean
}

/** The arguments, null when help is wanted, or a sentence that says what is wrong with them. */
function read(args: readonly string[]): Given | null | string {
  let parsed
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        timeout: { type: 'string', default: '10' },
        format: { type: 'string', default: 'text' },
        json: { type: 'boolean', default: false },
        docker: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    return (error as Error).message.split('\n', 1)[0] as string
  }
  const { values, positionals } = parsed
  if (values.help) return null
  const [text, more] = positionals
  if (text === undefined) return 'a URL is needed, http://127.0.0.1:8080/health for example'
  if (more !== undefined) return 'one URL at a time'
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol))
    return 'the URL must begin with http:// or https://'
  const timeout = Number(values.timeout)
  if (!(timeout > 0 && timeout <= 3600)) return '--timeout takes seconds, above 0 and at most 3600'
  if (values.format !== 'text' && values.format !== 'json') return '--format takes text or json'
  const json = values.json || values.format === 'json'
  return { url, timeout: timeout * 1000, json, docker: values.docker }
}

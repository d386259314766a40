/**
 * Turns an order into what is executed: program, arguments, folder and the documented environment, nothing else of ours.
 * It finds out what cannot work before anything is started, and says it in one line; it never starts anything.
 */
import { constants } from 'node:fs'
import { access, open, stat } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import { visibleDevices, type ProvisionOrder } from '@health/core'

/** What is executed. */
export interface Preparation {
  readonly program: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

/** What a runner inherits of the supervisor's own environment. */
export interface Inherited {
  readonly PATH?: string | undefined
  readonly HOME?: string | undefined
}

const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin'

/** Everything ready to be executed, or one line that says what is wrong with the configuration. */
export async function prepare(
  order: ProvisionOrder,
  port: number,
  inherited: Inherited,
): Promise<Preparation | string> {
  const { launch } = order
  const [name, ...rest] = launch?.command ?? []
  if (!launch || name === undefined || name === '')
    return 'The app has no command. Give `command: [program, argument, …]` or `urls`.'
  const fill = (text: string): string => fillIn(text, port, order)
  const args = rest.map(fill)
  const env = environment(order, port, inherited)
  const wrong = [name, launch.cwd, ...args, ...Object.entries(env).flat()].find((text) =>
    text.includes('\0'),
  )
  if (wrong !== undefined) return 'The command or its environment contains a NUL character.'
  const key = Object.keys(env).find((each) => each === '' || each.includes('='))
  if (key !== undefined)
    return `The environment variable name ${JSON.stringify(key)} is not allowed.`
  const cwd = resolve(launch.cwd)
  const folder = await stat(cwd).catch(() => null)
  if (!folder) return `The folder ${cwd} (cwd) does not exist.`
  if (!folder.isDirectory()) return `${cwd} (cwd) is not a folder.`
  const found = await locate(name, cwd, env['PATH'] ?? DEFAULT_PATH)
  if (found.program === null) return found.problem
  if (!(await isProgram(found.program)))
    return `Command cannot be started: ${found.program} is not a program of this machine, nor a script with a #! line.`
  return { program: found.program, args, cwd, env }
}

/** `{port} {runner} {device}` replaced, nothing else. */
function fillIn(text: string, port: number, order: ProvisionOrder): string {
  const words = { port: String(port), runner: order.runner, device: order.devices.join(',') }
  return text.replaceAll(/\{(port|runner|device)\}/g, (_, word: keyof typeof words) => words[word])
}

/** The documented variables; what identifies a runner to us cannot be overridden by the app's `env`. */
function environment(
  order: ProvisionOrder,
  port: number,
  inherited: Inherited,
): Record<string, string> {
  const env: Record<string, string> = { PATH: inherited.PATH || DEFAULT_PATH }
  if (inherited.HOME !== undefined) env['HOME'] = inherited.HOME
  for (const [name, value] of Object.entries(order.launch?.env ?? {}))
    env[name] = fillIn(value, port, order)
  return {
    ...env,
    ...visibleDevices(order.devices),
    ...order.env,
    PORT: String(port),
    HEALTH_RUNNER_ID: order.runner,
    HEALTH_APP: order.app,
    FAL_RUNNER_STATE: 'SETUP',
  }
}

type Located = { readonly program: string } | { readonly program: null; readonly problem: string }

/** Finds the program as `execvp` would: by itself when it has a slash, else along PATH. */
async function locate(name: string, cwd: string, path: string): Promise<Located> {
  const bare = !name.includes('/')
  const places = bare
    ? path.split(delimiter).map((folder) => join(resolve(cwd, folder), name))
    : [resolve(cwd, name)]
  let forbidden: string | null = null
  for (const place of places) {
    const file = await stat(place).catch(() => null)
    if (!file) continue
    if (
      file.isFile() &&
      (await access(place, constants.X_OK).then(
        () => true,
        () => false,
      ))
    )
      return { program: place }
    forbidden ??= place
  }
  if (forbidden !== null) return { program: null, problem: `Command not executable: ${forbidden}` }
  return {
    program: null,
    problem: bare
      ? `Command not found: ${name} (in no folder of PATH)`
      : `Command not found: ${places[0]}`,
  }
}

const MAGIC = ['2321', '7f454c46', 'feedface', 'feedfacf', 'cefaedfe', 'cffaedfe', 'cafebabe']

/** Whether the kernel itself can run it. What it cannot, `execvp` would hand to a shell, and no shell is to read anything here. */
async function isProgram(path: string): Promise<boolean> {
  const file = await open(path, 'r').catch(() => null)
  if (!file) return true // may be executed without being readable
  try {
    const head = Buffer.alloc(4)
    await file.read(head, 0, 4, 0)
    return MAGIC.some((magic) => head.toString('hex').startsWith(magic))
  } finally {
    await file.close()
  }
}

/**
 * Opens an address in the browser of whoever sits there. It decides by the terminal and the environment whether somebody does; the address
 * is one argument of a program, never of a shell, and no key goes along.
 */
import { spawn } from 'node:child_process'
import type { Terminal } from './command.ts'

/** Whether a person at a desktop of this machine reads what is printed: never in CI, in a pipe or over SSH. */
export function hasDesktop(
  { interactive, env }: Pick<Terminal, 'interactive' | 'env'>,
  platform: NodeJS.Platform = process.platform,
): boolean {
  if (!interactive || !['', '0', 'false', undefined].includes(env['CI'])) return false
  // A display that SSH forwards is a desktop; a shell on somebody else's Mac is none.
  if (env['DISPLAY'] || env['WAYLAND_DISPLAY']) return true
  return (platform === 'darwin' || platform === 'win32') && !env['SSH_CONNECTION']
}

const programs: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
}

/** Opens an address; false when there is no program for it. It waits for nothing that a person does. */
export function openPage(url: string, environment: Terminal['env']): Promise<boolean> {
  const [program, ...before] = programs[process.platform] ?? ['xdg-open']
  const { HEALTH_KEY: _key, HEALTH_ADMIN_KEY: _admin, ...env } = environment
  return new Promise((resolve) => {
    const child = spawn(program!, [...before, url], { stdio: 'ignore', detached: true, env })
    child.once('error', () => resolve(false))
    child.once('spawn', () => {
      child.unref()
      resolve(true)
    })
  })
}

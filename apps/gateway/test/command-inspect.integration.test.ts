// `health inspect` on a desktop that the test makes up: a program that notes what it was told to open.
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hasDesktop } from '../src/command/browser.ts'
import { json, run, serve } from './terminal.ts'
import { until } from './gateway-process.ts'

// What a shell would do with this ID.
const ID = "a b;touch x&'$(id)`id`"
const folder = mkdtempSync(join(tmpdir(), 'health-desktop-'))
const note = join(folder, 'note')
let gateway: Awaited<ReturnType<typeof serve>>

beforeAll(async () => {
  gateway = await serve((request, response) => {
    const known = ['/v1/nodes', `/v1/runners/${encodeURIComponent(ID)}`]
    json(response, known.includes(request.url!) ? 200 : 404, { nodes: [] })
  })
  for (const name of ['xdg-open', 'open']) {
    const script = join(folder, name)
    writeFileSync(
      script,
      `#!/bin/sh\nprintf '%s|%s|%s' "$#" "$1" "$HEALTH_KEY" > ${note}.part && mv ${note}.part ${note}\n`,
    )
    chmodSync(script, 0o755)
  }
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

const desktop = (more: Record<string, string> = {}): Record<string, string> => ({
  HEALTH_URL: gateway.url,
  HEALTH_KEY: 'secret',
  DISPLAY: ':0',
  PATH: [folder, '/usr/bin', '/bin'].join(delimiter),
  ...more,
})

test('opens the page as one argument of a program, without the key, and prints the address', async (context) => {
  context.skip(process.platform === 'win32', 'the made-up desktop is a shell script')
  const said = await run(['inspect', ID], { env: desktop(), interactive: true })
  const address = `${gateway.url}/inspect#runner/${encodeURIComponent(ID)}`
  expect(said).toEqual({ code: 0, out: `${address}\n`, err: '' })
  await until(
    async () => existsSync(note),
    (there) => there,
  )
  expect(readFileSync(note, 'utf8')).toBe(`1|${address}|`)
})

test('says so where there is no program that opens', async (context) => {
  context.skip(process.platform === 'win32', 'there is always one')
  const said = await run(['inspect'], { env: desktop({ PATH: '/nowhere' }), interactive: true })
  expect(said).toEqual({
    code: 0,
    out: `${gateway.url}/inspect\n`,
    err: 'There is no browser that can be opened from here; open the address yourself.\n',
  })
})

test('--no-open only prints', async () => {
  // Without a program there would be a complaint.
  const said = await run(['inspect', '--no-open'], {
    env: desktop({ PATH: '/nowhere' }),
    interactive: true,
  })
  expect(said).toEqual({ code: 0, out: `${gateway.url}/inspect\n`, err: '' })
})

test.for([
  ['a desktop', true, { DISPLAY: ':0' }, 'linux', true],
  ['a Wayland desktop', true, { WAYLAND_DISPLAY: 'wayland-0' }, 'linux', true],
  ['a server', true, {}, 'linux', false],
  ['a pipe', false, { DISPLAY: ':0' }, 'linux', false],
  ['CI', true, { DISPLAY: ':0', CI: 'true' }, 'linux', false],
  ['no CI, said so', true, { DISPLAY: ':0', CI: 'false' }, 'linux', true],
  ['a Mac', true, {}, 'darwin', true],
  ['a Mac in CI', true, { CI: '1' }, 'darwin', false],
  ['a Mac over SSH', true, { SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22' }, 'darwin', false],
  ['a display over SSH', true, { DISPLAY: 'localhost:10', SSH_CONNECTION: 'x' }, 'linux', true],
  ['Windows', true, {}, 'win32', true],
] as const)('%s', ([, interactive, env, platform, expected]) => {
  expect(hasDesktop({ interactive, env }, platform)).toBe(expected)
})

// The example of the documentation as a reader runs it: its own machines in the gateway's page, once by hand and once through the package.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { needsBrowser, startBrowser } from './browser.ts'
import { root, startGateway } from './gateway-process.ts'

test('an orchestrator of its own is shown: the bare core, and an actor of XState', async (context) => {
  const browser = await startBrowser()
  if (browser === null) return context.skip(needsBrowser)
  await using gateway = startGateway()
  await using example = startExample(await gateway.url())
  try {
    const page = await browser.newPage()
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(error.message))
    const asked: string[] = []
    page.context().on('request', (request) => asked.push(new URL(request.url()).hostname))
    await page.goto(await example.url)

    const popup = async (button: string): Promise<Page> =>
      (await Promise.all([page.waitForEvent('popup'), page.click(button)]))[0]
    const lit = (path: string): string => `#chart .lit[data-path="${path}"]`
    const fleet = await popup('#fleet')
    const actor = await popup('#actor')
    const broken = async (): Promise<void> => {
      await fleet.waitForSelector(lit('serving.health.ready'))
      await page.click('#break')
      await fleet.waitForSelector(lit('serving.health.suspect.failing'))
      await fleet.waitForSelector(lit('gone'))
    }
    const lights = async (): Promise<void> => {
      await actor.waitForSelector(lit('green'))
      await actor.waitForSelector(lit('yellow'))
    }
    await Promise.all([broken(), lights()])
    expect(complaints).toEqual([])
    expect(new Set(asked)).toEqual(new Set(['127.0.0.1']))
  } finally {
    await browser.close()
  }
})

test('the example ends when it is told to, also while its runners are on their way', async () => {
  await using example = startExample('http://127.0.0.1:1')
  await example.url
  expect(await example.end()).toEqual([0, null])
})

/** The example as a process of its own: where it answers, and how it ends, within seconds or never. */
function startExample(gateway: string): AsyncDisposable & {
  readonly url: Promise<string>
  end(): Promise<unknown[]>
} {
  const child = spawn(
    process.execPath,
    ['--conditions=@health/source', join(root, 'docs/examples/inspect/main.mjs')],
    { env: { ...process.env, HEALTH_URL: gateway, PORT: '0' }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const exited = once(child, 'exit')
  const line = once(child.stdout.setEncoding('utf8'), 'data')
  const end = async (): Promise<unknown[]> => {
    child.kill()
    const tooLong = setTimeout(() => child.kill('SIGKILL'), 10_000)
    return exited.finally(() => clearTimeout(tooLong))
  }
  return {
    url: Promise.race([line, exited]).then(([first]: unknown[]) => {
      if (typeof first === 'string') return first.trim()
      throw new Error(`the example ended: ${complaint}`)
    }),
    end,
    [Symbol.asyncDispose]: async () => void (await end()),
  }
}

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
  const example = spawn(
    process.execPath,
    ['--conditions=@health/source', join(root, 'docs/examples/inspect/main.mjs')],
    {
      env: { ...process.env, HEALTH_URL: await gateway.url(), PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  try {
    const [line] = (await once(example.stdout.setEncoding('utf8'), 'data')) as [string]
    const page = await browser.newPage()
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(error.message))
    const asked: string[] = []
    page.context().on('request', (request) => asked.push(new URL(request.url()).hostname))
    await page.goto(line.trim())

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
    example.kill()
    await once(example, 'exit')
  }
})

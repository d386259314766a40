// The example of the documentation as a reader runs it: its own machines in the gateway's page, once by hand and once through the package.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { expect, test } from 'vitest'
import { root, startGateway } from './gateway-process.ts'

const executablePath = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => existsSync(path))

test('an orchestrator of its own is shown: the bare core, and an actor of XState', async (context) => {
  context.skip(executablePath === undefined, 'no chromium is installed')
  await using gateway = startGateway()
  const example = spawn(
    process.execPath,
    ['--conditions=@health/source', join(root, 'docs/examples/inspect/main.mjs')],
    {
      env: { ...process.env, HEALTH_URL: await gateway.url(), PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const browser = await chromium.launch({
    executablePath: executablePath!,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  try {
    const [line] = (await once(example.stdout.setEncoding('utf8'), 'data')) as [string]
    const page = await browser.newPage()
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(error.message))
    const asked: string[] = []
    page.context().on('request', (request) => asked.push(new URL(request.url()).hostname))
    await page.goto(line.trim())

    const [fleet] = await Promise.all([page.waitForEvent('popup'), page.click('#fleet')])
    await fleet.waitForSelector('#chart .lit[data-path="serving.health.ready"]')
    await page.click('#break')
    await fleet.waitForSelector('#chart .lit[data-path="serving.health.suspect.failing"]')
    await fleet.waitForSelector('#chart .lit[data-path="gone"]')

    const [actor] = await Promise.all([page.waitForEvent('popup'), page.click('#actor')])
    await actor.waitForSelector('#chart .lit[data-path="green"]')
    await actor.waitForSelector('#chart .lit[data-path="yellow"]')
    expect(complaints).toEqual([])
    expect(new Set(asked)).toEqual(new Set(['127.0.0.1']))
  } finally {
    await browser.close()
    example.kill()
    await once(example, 'exit')
  }
})

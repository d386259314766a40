/** A real browser, when this machine has one, and pages in it that remember what they asked for and complained about. */
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'
import { demoConfig, demoFolder } from '../src/config-demo.ts'
import { startGateway, type GatewayProcess } from './gateway-process.ts'

const executablePath = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => existsSync(path))

/** Why a test is skipped where there is no browser. */
export const needsBrowser = 'no chromium is installed'

/** Null where none is installed. */
export async function startBrowser(): Promise<Browser | null> {
  if (executablePath === undefined) return null
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
}

/** A page, the addresses it asked for and the errors it printed. */
export interface Opened {
  readonly page: Page
  readonly asked: string[]
  readonly complaints: string[]
}

/** Opens an address in a page of its own. */
export async function openPage(
  browser: Browser,
  url: string,
  options: Parameters<Browser['newPage']>[0] = {},
): Promise<Opened> {
  const page = await browser.newPage(options)
  const asked: string[] = []
  const complaints: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  await page.goto(url)
  return { page, asked, complaints }
}

/** A page on a phone and on a desk, in the dark and in the light. */
export const screens = [
  ['a phone in the dark', { viewport: { width: 360, height: 740 }, colorScheme: 'dark' }],
  ['a desk in the light', { viewport: { width: 1280, height: 800 }, colorScheme: 'light' }],
] as const

/** What a screen shows of a page: its width and the window's, and whether its ground is light. */
export async function lookOf(page: Page): Promise<{
  readonly content: number
  readonly window: number
  readonly light: boolean
}> {
  const [content, window, ground] = await page.evaluate<[number, number, string]>(
    '[document.documentElement.scrollWidth, innerWidth, getComputedStyle(document.body).backgroundColor]',
  )
  return { content, window, light: Number(/\d+/.exec(ground)![0]) > 128 }
}

/** A gateway with the demo, whose checks come as quickly as a runner can start: nobody has to watch it. */
export function startQuickDemo(): GatewayProcess {
  const folder = mkdtempSync(join(tmpdir(), 'health-gateway-'))
  const demo = demoConfig.apps['demo/echo']
  const healthCheck = { ...demo.healthCheck, startPeriodSeconds: 0, intervalSeconds: 0.5 }
  const apps = {
    'demo/echo': { ...demo, cwd: demoFolder, healthCheck, startupTimeoutSeconds: 3 },
  }
  const file = join(folder, 'health.config.json')
  writeFileSync(file, JSON.stringify({ apps }))
  return startGateway(['--config', file], { folder })
}

// The page in a real browser against a real gateway: what it shows, what its buttons do, and that it asks nobody else.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { lookOf, needsBrowser, openPage, screens, startBrowser } from './browser.ts'
import { call, startGateway, until, type GatewayProcess } from './gateway-process.ts'

let browser: Browser | null = null
let gateway: GatewayProcess | null = null

beforeAll(async () => {
  browser = await startBrowser()
  if (browser !== null) gateway = startGateway()
})
afterAll(async () => {
  await Promise.all([browser?.close(), gateway?.[Symbol.asyncDispose]()])
})

const rows = '#runner-rows tr'

test('shows the runner, and what a 503 does to it', async (context) => {
  context.skip(browser === null, needsBrowser)
  const url = await gateway!.url()
  const { page, asked, complaints } = await openPage(browser!, url)
  await page.waitForSelector(`${rows} .state[data-state=ready]`)
  const id = await page.getAttribute(`${rows} .id`, 'title')
  expect(await page.textContent('#apps')).toContain('demo/echo')
  await page.getByRole('button', { name: /^Unavailable/ }).click()
  await page.waitForSelector(`#calls li:has-text("503")`)
  await page.waitForSelector(`#decisions li:has(.id[title="${id}"]) >> text=outcome.server_error`)
  await page.waitForSelector(`${rows}:has(.id[title="${id}"]) .state[data-state=terminated]`)
  await page.waitForSelector(`${rows} .state[data-state=ready]`)
  expect(asked.filter((one) => !one.startsWith(url))).toEqual([])
  // The browser itself notes an answer of 503 as an error; that one was asked for.
  expect(complaints.filter((text) => !text.includes('503'))).toEqual([])
  await page.close()
})

test('is used with the keyboard alone', async (context) => {
  context.skip(browser === null, needsBrowser)
  const { page } = await openPage(browser!, await gateway!.url())
  const button = page.getByRole('button', { name: /^Well/ })
  await button.waitFor()
  for (let presses = 0; presses < 10; presses++) {
    await page.keyboard.press('Tab')
    if (await button.evaluate((node) => node === node.ownerDocument.activeElement)) break
  }
  await page.keyboard.press('Enter')
  await page.waitForSelector('#calls li:has-text("200 from")')
  expect(await button.evaluate((node) => node === node.ownerDocument.activeElement)).toBe(true)
  await page.close()
})

test.for(screens)('fits %s', async ([, options], context) => {
  context.skip(browser === null, needsBrowser)
  const { page } = await openPage(browser!, await gateway!.url(), options)
  await page.waitForSelector(`${rows} .state`)
  const { content, window, light } = await lookOf(page)
  expect(content).toBeLessThanOrEqual(window)
  expect(light).toBe(options.colorScheme === 'light')
  await page.close()
})

test('with keys it asks for one, and keeps it to itself', async (context) => {
  context.skip(browser === null, needsBrowser)
  const folder = mkdtempSync(join(tmpdir(), 'health-page-'))
  writeFileSync(join(folder, 'h.yaml'), 'auth: { readKeys: [look] }\napps: {}\n')
  await using locked = startGateway(['--config', join(folder, 'h.yaml')], { folder })
  const url = await locked.url()
  expect((await call(url, '/v1/apps')).status).toBe(401)
  const { page } = await openPage(browser!, url)
  await page.waitForSelector('#key-form:not([hidden])')
  expect(await page.textContent('#status')).toBe('The gateway asks for a key.')
  await page.getByLabel(/key/).fill('look')
  await page.getByRole('button', { name: 'Use key' }).click()
  await page.waitForSelector('#key-form', { state: 'hidden' })
  expect(await page.textContent('#status')).toBe('0 runners of 0 apps')
  expect(page.url()).not.toContain('look')
  await page.close()
})

const crash = (url: string): ReturnType<typeof call> =>
  call(url, '/queue/demo/echo', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"fault":"crash"}',
  })

test('runners that wait for their start are in the list, as in the card of their app', async (context) => {
  context.skip(browser === null, needsBrowser)
  await using crashing = startGateway()
  const url = await crashing.url()
  const { page } = await openPage(browser!, url)
  await page.waitForSelector(`${rows} .state[data-state=ready]`)
  for (let n = 0; n < 3; n++) await crash(url)
  await page.waitForSelector('#apps li:has-text("3\u00a0backoff")')
  await page.waitForSelector(`${rows} small:text-is("backoff") >> nth=2`)
  await page.waitForSelector('#status:text-is("3 runners of 1 app")')
  expect(await page.locator(`${rows} small:text-is("backoff")`).count()).toBe(3)
  await page.close()
})

test('a gateway that is gone leaves what was so, dim and dated; one that begins anew tells its own decisions', async (context) => {
  context.skip(browser === null, needsBrowser)
  const first = startGateway()
  const url = await first.url()
  const { page } = await openPage(browser!, url)
  await page.waitForSelector(`${rows} .state[data-state=ready]`)
  for (let n = 0; n < 3; n++) await crash(url)
  const before = await until(
    () => page.locator('#decisions li').count(),
    (count) => count > 15,
  )
  await first[Symbol.asyncDispose]()
  await page.waitForSelector('main.stale')
  expect(await page.textContent('#status')).toMatch(
    /^The gateway does not answer since .*\d:\d\d:\d\d.*; trying again\.$/,
  )
  expect(await page.isVisible('#key-form')).toBe(false)

  await using second = startGateway(['--port', new URL(url).port])
  await second.url()
  await page.waitForSelector('main:not(.stale)')
  await page.waitForSelector(`${rows} .state[data-state=ready]`)
  const told = async (): Promise<readonly string[]> =>
    (await call(url, '/v1/decisions')).value.decisions.map(({ at }: { at: string }) => at)
  const shown = (): Promise<string[]> =>
    page.evaluate(
      `[...document.querySelectorAll('#decisions time')].map(({ dateTime }) => dateTime).toReversed()`,
    )
  const [, is] = await until(
    async () => [await shown(), await told()] as const,
    ([seen, is]) => seen.join() === is.join(),
  )
  expect(is.length).toBeLessThan(before)
  await page.close()
})

test('a channel that fell silent without an end, as in a sleep, is left for another one', async (context) => {
  context.skip(browser === null, needsBrowser)
  const page = await browser!.newPage()
  await page.clock.install()
  const asked: unknown[] = []
  let asleep = false
  await page.routeWebSocket(/v1\/realtime/, (socket) => {
    const server = socket.connectToServer()
    if (asleep) return
    socket.onMessage((said) => void (asleep ? asked.push(said) : server.send(said)))
    server.onMessage((said) => void (asleep || socket.send(said)))
  })
  // While it lives by its channel it asks for the apps alone.
  let alone = 0
  page.on('request', (request) => {
    if (request.url().includes('/v1/runners?')) alone = 0
    else if (request.url().endsWith('/v1/apps')) alone++
  })
  const url = await gateway!.url()
  await page.goto(url)
  await until(
    async () => alone,
    (count) => count > 1,
  )
  const id = (await page.getAttribute(`${rows}:has([data-state=ready]) .id`, 'title'))!
  asleep = true
  await call(url, `/v1/runners/${id}/kill`, { method: 'POST' })
  await page.clock.fastForward(10_000)
  await page.clock.fastForward(10_000)
  await page.waitForSelector(`${rows}:has(.id[title="${id}"]) .state[data-state=terminated]`)
  expect(asked).toContain('{"type":"ping"}')
  await page.close()
})

test('runners that the list gives on a later page are there too', async (context) => {
  context.skip(browser === null, needsBrowser)
  const url = await gateway!.url()
  const { page } = await openPage(browser!, url)
  await page.waitForSelector(`${rows} .state[data-state=ready]`)
  const { runners } = (await call(url, '/v1/runners?state=ready')).value as { runners: object[] }
  await page.route('**/v1/runners?*', (route) => {
    const first = new URL(route.request().url()).searchParams.get('cursor') === '0'
    const json = first
      ? { runners: [{ ...runners[0], id: 'early' }], next: '1' }
      : { runners: [{ ...runners[0], id: 'late' }], next: null }
    return route.fulfill({ json })
  })
  await page.reload()
  await page.waitForSelector(`${rows} .id[title=early]`)
  expect(await page.locator(`${rows} .id[title=late]`).count()).toBe(1)
  await page.close()
})

test('the last decisions are there at once, however long the history', async (context) => {
  context.skip(browser === null, needsBrowser)
  const page = await browser!.newPage()
  const last = 50_000
  const decision = (seq: number) => ({
    seq,
    at: new Date(seq * 1000).toISOString(),
    subject: { kind: 'node', id: 'n', incarnation: 0 },
    from: 'healthy',
    to: 'cordoned',
    rule: `rule ${seq}`,
    compared: [],
    enforced: true,
    because: null,
  })
  await page.route('**/v1/decisions?*', (route) => {
    const since = Number(new URL(route.request().url()).searchParams.get('since'))
    const length = Math.min(1000, last - since)
    const decisions = Array.from({ length }, (_, n) => decision(since + n + 1))
    const next = since + length
    return route.fulfill({ json: { decisions, next: next === last ? null : next } })
  })
  await page.routeWebSocket(/v1\/realtime/, (socket) => {
    const server = socket.connectToServer()
    server.onMessage((said) => {
      const message = JSON.parse(String(said))
      if (message.type === 'snapshot') message.decisions = [decision(last - 1), decision(last)]
      socket.send(JSON.stringify(message))
    })
  })
  await page.goto(await gateway!.url())
  await page.waitForSelector(`#decisions >> text=rule ${last}`)
  expect(await page.textContent('#decisions li:first-child strong')).toBe(`rule ${last}`)
  await page.close()
})

test('among many runners the sick come first, the ended last', async (context) => {
  context.skip(browser === null, needsBrowser)
  const { page } = await openPage(browser!, await gateway!.url())
  const states = await page.evaluate<string[]>(`import('/fleet.js').then(({ drawRunners }) => {
    const states = ['ready', 'terminated', 'starting', 'suspect']
    const since = new Date().toISOString()
    const runners = Array.from({ length: 200 }, (_, n) => ({
      id: 'r' + n, app: 'a/' + (n % 7), state: states[n % 4], since, startedAt: since, inFlight: 0, failures: 0,
    }))
    drawRunners(runners, [], Date.now())
    return [...document.querySelectorAll('${rows} .state')].map(({ textContent }) => textContent)
  })`)
  expect(states).toHaveLength(200)
  expect(new Set(states.slice(0, 50))).toEqual(new Set(['suspect']))
  expect(new Set(states.slice(50, 150))).toEqual(new Set(['ready', 'starting']))
  expect(new Set(states.slice(150))).toEqual(new Set(['terminated']))
  await page.close()
})

// The inspector's page in a real browser against a started gateway: a fault is pressed, and the chart shows what becomes of the runner.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  lookOf,
  needsBrowser,
  openPage,
  screens,
  startBrowser,
  startQuickDemo,
  type Opened,
} from './browser.ts'
import { startGateway, type GatewayProcess } from './gateway-process.ts'
import { run } from './terminal.ts'

let browser: Browser | null = null
let gateway: GatewayProcess | null = null

beforeAll(async () => {
  browser = await startBrowser()
  if (browser !== null) gateway = startQuickDemo()
})
afterAll(async () => {
  await Promise.all([browser?.close(), gateway?.[Symbol.asyncDispose]()])
})

const open = async (path: string, options: Parameters<typeof openPage>[2] = {}): Promise<Opened> =>
  openPage(browser!, (await gateway!.url()) + path, options)
const press = async (fault: string): Promise<void> => {
  const answer = await fetch(`${await gateway!.url()}/run/demo/echo`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ fault }),
  })
  await answer.text()
}
const lit = (path: string): string => `#chart .lit[data-path="${path}"]`

test('a runner turns suspect, ends and is replaced, on the chart', async (context) => {
  context.skip(browser === null, needsBrowser)
  const { page, asked, complaints } = await open('/inspect')
  await page.waitForSelector(lit('serving.health.ready'))
  const id = (await page.getAttribute('#machines button[aria-current=true]', 'title'))!
  await page.evaluate(`{
    globalThis.seen = new Set()
    new MutationObserver(() => {
      for (const box of document.querySelectorAll('#chart .lit.leaf')) globalThis.seen.add(box.dataset.path)
      for (const line of document.querySelectorAll('#chart .taken title')) globalThis.seen.add(line.textContent)
    }).observe(document.querySelector('#chart'), { subtree: true, attributes: true })
  }`)
  await press('unhealthy')
  await page.waitForSelector(lit('serving.health.suspect'))
  await page.waitForSelector(lit('gone'))
  const seen = await page.evaluate<string[]>('[...globalThis.seen]')
  expect(seen).toEqual(
    expect.arrayContaining(['serving.health.suspect.failing', 'terminated.stopping', 'gone']),
  )
  // Arrows were taken on the way, with the events that they stand for.
  expect(seen.filter((text) => text.includes('process.exited')).length).toBeGreaterThan(0)
  const successor = await page.waitForSelector(
    `#machines button:not([title="${id}"]):has(small:text-matches("demo/echo · (idle|busy)"))`,
  )
  await successor.click()
  await page.waitForSelector(lit('serving.health.ready'))
  expect(await page.textContent('#chart-title')).toBe(
    `runner ${await successor.getAttribute('title')}`,
  )
  const own = new URL(await gateway!.url()).host
  expect(asked.filter((url) => new URL(url).host !== own)).toEqual([])
  expect(complaints).toEqual([])
  await page.close()
})

test('one steps back to what was before, by keyboard, and goes on live', async (context) => {
  context.skip(browser === null, needsBrowser)
  const { page } = await open('/inspect')
  await page.waitForSelector(lit('serving.health.ready'))
  const id = await page.getAttribute('#machines button[aria-current=true]', 'title')
  await press('unavailable')
  await page.waitForSelector(lit('gone'))
  await page.focus('#chart')
  await page.keyboard.press('ArrowLeft')
  await page.waitForSelector(lit('terminated.stopping'))
  await page.keyboard.press('ArrowLeft')
  await page.waitForSelector(lit('serving.health.ready'))
  expect(await page.getAttribute('#pause', 'aria-pressed')).toBe('true')
  expect(await page.isVisible(lit('gone'))).toBe(false)
  await page.keyboard.press(' ')
  await page.waitForSelector(lit('gone'))
  // The journal knows how it began, though nobody looked then.
  await page.getByRole('button', { name: /start\.begun/ }).click()
  await page.waitForSelector(lit('starting.setup'))
  expect(await page.evaluate<string>('location.hash')).toBe(`#runner/${id}`)
  await page.close()
})

test.for(screens)('fits %s', async ([, options], context) => {
  context.skip(browser === null, needsBrowser)
  const { page } = await open('/inspect', options)
  await page.waitForSelector(lit('serving.health.ready'))
  const { content, window, light } = await lookOf(page)
  expect(content).toBeLessThanOrEqual(window)
  expect(light).toBe(options.colorScheme === 'light')
  // Where the runner stands is in view, however large the chart.
  const inView = await page.evaluate<boolean>(`(() => {
    const frame = document.querySelector('#chart').getBoundingClientRect()
    const box = document.querySelector('#chart .lit.leaf[data-path="serving.health.ready"]').getBoundingClientRect()
    return box.left >= frame.left && box.right <= frame.right
  })()`)
  expect(inView).toBe(true)
  await page.close()
})

test('`health inspect ID` prints the address that shows this one', async (context) => {
  context.skip(browser === null, needsBrowser)
  const url = await gateway!.url()
  const { runners } = (await (await fetch(`${url}/v1/runners?state=ready`)).json()) as {
    runners: { id: string }[]
  }
  const { id } = runners[0]!
  const env = { HEALTH_URL: url }
  const said = await run(['inspect', id], { env })
  expect(said).toEqual({ code: 0, out: `${url}/inspect#runner/${id}\n`, err: '' })
  expect((await run(['inspect', 'nobody'], { env })).code).toBe(5)
  const page = await browser!.newPage()
  await page.goto(said.out.trim())
  await page.waitForSelector(lit('serving'))
  expect(await page.textContent('#chart-title')).toBe(`runner ${id}`)
  await page.close()
})

test.for(['nobody', '100%'])(
  'one that nobody knows is waited for, and says so: %s',
  async (id, context) => {
    context.skip(browser === null, needsBrowser)
    const { page } = await open(`/inspect#runner/${id}`)
    await page.waitForSelector('#chart >> text=knows nothing of this one')
    expect(await page.isDisabled('#pause')).toBe(true)
    await page.click('#machines button:has(small:text-matches("demo/echo"))')
    await page.waitForSelector('#chart .lit.leaf')
    expect(await page.textContent('#chart')).not.toContain('knows nothing')
    expect(await page.isEnabled('#pause')).toBe(true)
    await page.close()
  },
)

test.for([
  ['no key', '', 'The gateway asks for a key.'],
  ['a wrong one', 'nonsense', 'The gateway does not know this key.'],
  ['one that may only call', 'call', 'This key may not look; a read or admin key may.'],
] as const)(
  'with %s it asks for one, and does not say that nobody answers',
  async ([, key, words], context) => {
    context.skip(browser === null, needsBrowser)
    const folder = mkdtempSync(join(tmpdir(), 'health-inspect-'))
    writeFileSync(join(folder, 'h.yaml'), 'auth: { keys: [call], readKeys: [look] }\napps: {}\n')
    await using locked = startGateway(['--config', join(folder, 'h.yaml')], { folder })
    const page = await browser!.newPage()
    await page.addInitScript(`if (!sessionStorage.getItem('health-key')) sessionStorage.setItem('health-key', '${key}')
    globalThis.said = new Set()
    addEventListener('DOMContentLoaded', () => {
      const status = document.querySelector('#status')
      new MutationObserver(() => said.add(status.textContent)).observe(status, { childList: true, characterData: true, subtree: true })
    })`)
    await page.goto(`${await locked.url()}/inspect`)
    await page.waitForSelector('#key-form:not([hidden])')
    // It goes on asking: a key may have been added.
    await page.waitForResponse((response) => response.url().endsWith('/v1/tokens'))
    expect(await page.evaluate('[...said]')).toEqual([words])
    await page.getByLabel(/key/).fill('look')
    await page.getByRole('button', { name: 'Use key' }).click()
    await page.waitForSelector('#status:text-is("Live")')
    expect(await page.isVisible('#key-form')).toBe(false)
    expect(page.url()).not.toContain('look')
    await page.close()
  },
)

test('a page elsewhere shows its own machines in it, through the package, and learns nothing of ours', async (context) => {
  context.skip(browser === null, needsBrowser)
  const url = await gateway!.url()
  const stranger = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' })
    response.end(`<!doctype html><title>elsewhere</title><button>go</button><script>
      const definition = JSON.stringify({ id: 'light', initial: 'red', states: { red: { on: { GO: 'green' } }, green: {} } })
      const frame = (type, more) => ({ type, _version: '0.7.2', createdAt: String(Date.now()), id: null, rootId: 'x:0', sessionId: 'x:0', ...more })
      window.heard = []
      addEventListener('message', ({ data, source }) => {
        heard.push(data)
        source.postMessage(frame('@xstate.actor', { name: 'light', definition, snapshot: { status: 'active', value: 'red', context: { cars: 1 } } }), '*')
        source.postMessage(frame('@xstate.snapshot', { event: { type: 'GO' }, snapshot: { status: 'done', value: 'green', context: { cars: 2 } } }), '*')
      })
      document.querySelector('button').onclick = () => open(${JSON.stringify(`${url}/inspect`)}, 'xstateinspector')
    </script>`)
  })
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
  try {
    const page = await browser!.newPage()
    await page.goto(`http://127.0.0.1:${(stranger.address() as AddressInfo).port}`)
    const [opened] = await Promise.all([page.waitForEvent('popup'), page.click('button')])
    await opened.waitForSelector(lit('green'))
    expect(await opened.textContent('#chart-title')).toBe('x:0')
    expect(await opened.textContent('#context')).toBe('cars2')
    // The list says what became of it, as the chart does.
    expect(await opened.textContent('#machines small')).toBe('machine · done, over')
    expect(await page.evaluate('heard')).toEqual([{ type: '@statelyai.connected' }])
    expect(await opened.textContent('#machines')).not.toContain('demo/echo')
    await opened.close()
    await page.close()
  } finally {
    stranger.closeAllConnections()
    stranger.close()
  }
})

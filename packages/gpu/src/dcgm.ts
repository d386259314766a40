/**
 * The DCGM exporter as a source: one scrape an interval. Its Xid gauge holds the last one for ever, so only a change is an event,
 * and repeats are invisible; where Xids matter, the kernel log goes with it.
 */
import { get as getHttps } from 'node:https'
import type { Cancel } from '@health/core'
import { bootId } from './kernel-log.ts'
import { isWanted, readDcgm } from './dcgm-sample.ts'
import { readMetrics } from './prometheus.ts'
import { brief, type Source, type SourceOptions, type Tell } from './source.ts'

// Not imported: an import reads every name of `node:http`, and one of them loads a WebSocket client, 13 MB.
const { get: getHttp } = process.getBuiltinModule('node:http')

/** Where the exporter listens by default. */
export const DCGM_URL = 'http://127.0.0.1:9400/metrics'
const MAX_BODY = 8 * 1024 * 1024
const TIMEOUT_MS = 10_000
/** Scrapes in a row that failed before the source counts as failed. */
const FAILURES = 3

/** `url`: default {@link DCGM_URL}. */
export interface DcgmOptions extends SourceOptions {
  readonly url?: string
}

/** Fetches a text within bounds. Rejects with one clear line; `timeout` in it when nothing came in time. */
export function fetchText({ clock }: SourceOptions, url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const get = url.startsWith('https:') ? getHttps : getHttp
    const request = get(url, { agent: false, headers: { accept: 'text/plain' } }, (response) => {
      if (response.statusCode !== 200) {
        done(new Error(`status ${response.statusCode}`))
        return
      }
      const parts: Buffer[] = []
      let size = 0
      response.on('data', (part: Buffer) => {
        size += part.length
        if (size > MAX_BODY) done(new Error(`more than ${MAX_BODY} bytes`))
        else parts.push(part)
      })
      response.on('end', () => done(Buffer.concat(parts).toString('utf8')))
      response.on('error', (error) => done(error))
    })
    const cancel: Cancel = clock.after(TIMEOUT_MS, () => done(new Error('timeout')))
    const done = (result: string | Error): void => {
      cancel()
      if (typeof result === 'string') resolve(result)
      else {
        reject(result)
        request.destroy()
      }
    }
    request.on('error', (error: NodeJS.ErrnoException) =>
      done(new Error(error.code ?? error.message)),
    )
  })
}

/** The exporter as a {@link Source}. */
export class Dcgm implements Source {
  readonly name = 'dcgm'
  readonly #options: DcgmOptions
  readonly #boot: string
  #sequence = 0
  readonly #xids = new Map<string, number>()
  #first = true
  #failures = 0
  #tell: Tell = () => {}
  #timer: Cancel = () => {}
  #running = false
  /** Counts the times it was set going: an answer that was awaited before a pause belongs to none that goes on. */
  #round = 0

  constructor(options: DcgmOptions) {
    this.#options = options
    this.#boot = `${bootId()}/dcgm.${process.pid}.${options.clock.wall()}`
  }

  start(tell: Tell): void {
    this.#tell = tell
    this.resume()
  }

  /** The exporter holds the devices, not we: its own service must be stopped before a reset. */
  suspend(): Promise<void> {
    this.#running = false
    this.#timer()
    return Promise.resolve()
  }

  resume(): void {
    if (this.#running) return
    this.#running = true
    void this.#scrape(++this.#round)
  }

  close(): Promise<void> {
    this.#tell = () => {}
    return this.suspend()
  }

  async #scrape(round: number): Promise<void> {
    const begun = this.#options.clock.now()
    const goesOn = (): boolean => this.#running && round === this.#round
    try {
      const text = await fetchText(this.#options, this.#options.url ?? DCGM_URL)
      if (goesOn()) this.#read(text)
    } catch (error) {
      if (goesOn()) this.#failed(error instanceof Error ? error.message : String(error))
    }
    if (!goesOn()) return
    const wait = Math.max(0, this.#options.intervalMs - (this.#options.clock.now() - begun))
    this.#timer = this.#options.clock.after(wait, () => void this.#scrape(round))
  }

  #read(text: string): void {
    const { metrics, unreadable } = readMetrics(text, isWanted)
    if (unreadable > 0)
      this.#tell({ type: 'problem', text: `${unreadable} lines of the exporter are not metrics` })
    const { devices, xids } = readDcgm(metrics)
    if (devices.length === 0 && this.#first) {
      this.#failed('the answer names no device')
      return
    }
    if (this.#failures >= FAILURES) this.#tell({ type: 'recovered', detail: 'metrics again' })
    this.#failures = 0
    this.#tell({ type: 'sampled', devices })
    for (const [uuid, xid] of xids) this.#xid(uuid, xid)
    this.#first = false
  }

  #xid(device: string, xid: number): void {
    const before = this.#xids.get(device) ?? 0
    this.#xids.set(device, xid)
    // What stood there at the beginning may be weeks old.
    if (this.#first || xid === 0 || xid === before) return
    this.#tell({
      type: 'xid',
      device,
      xid,
      text: 'as the exporter reports it',
      boot: this.#boot,
      sequence: ++this.#sequence,
    })
  }

  #failed(detail: string): void {
    this.#failures++
    if (this.#failures !== FAILURES) return
    const why = detail === 'timeout' ? 'hung' : detail.startsWith('E') ? 'exited' : 'invalid'
    this.#tell({
      type: 'failed',
      why,
      detail: brief(`${this.#options.url ?? DCGM_URL}: ${detail}`),
    })
  }
}

/**
 * Reads what a runner declares about its health check, once per life, and lets it count where the configuration says nothing. The
 * configuration wins; a difference is a warning that names both. A declaration is never judged: a bad one is a warning and none.
 */
import {
  checkHealthCheck,
  HealthError,
  view,
  views,
  type Clock,
  type HealthCheckOptions,
} from '@health/core'
import type { Supervisor } from '@health/supervisor'
import type { Config } from './config.ts'
import type { AppFact } from './fleet-config.ts'
import type { Log } from './gateway.ts'

// Not imported: an import reads every name of `node:http`, and one of them loads a WebSocket client, 13 MB.
const { get } = process.getBuiltinModule('node:http')

/** Where a runner declares its health check. */
const PATH = '/.well-known/health-check'
/** The whole declaration must be here within this time of being asked for, in ms: who trickles it would hold a place of others. */
const WITHIN_MS = 2000
const MAX_BYTES = 16_384
/** So many are read at once: thousands of servers that come up together must not take the sockets of callers and checks. */
const AT_ONCE = 32
/** What may be declared; the rest is the configuration's alone. */
const names = [
  'path',
  'method',
  'startPeriodSeconds',
  'timeoutSeconds',
  'failureThreshold',
  'callRegularly',
  'intervalSeconds',
] as const

/** What the runners of the apps declared. */
export interface Declarations {
  /** The fact with the declared health check where the configuration has none. */
  complete(fact: AppFact): AppFact
  close(): void
}

/** Watches runners that become ready and asks each once. */
export function watchDeclarations(
  supervisor: Supervisor,
  config: () => Config,
  log: Log,
): Declarations {
  const { fleet } = supervisor
  const declared = new Map<string, HealthCheckOptions>()
  // After a restart the fleet remembers what was declared; the runners are asked again below.
  for (const record of fleet.apps.values())
    if (record.options.healthCheck !== undefined)
      declared.set(record.id, record.options.healthCheck)
  let closed = false
  /** Runners to ask when those before them have said something. */
  const waiting: string[] = []
  let reading = 0

  const complete = (fact: AppFact): AppFact => {
    if (fact.type !== 'app.configured' || fact.options.healthCheck !== undefined) return fact
    const healthCheck = declared.get(fact.app)
    return healthCheck === undefined ? fact : { ...fact, options: { ...fact.options, healthCheck } }
  }

  const heard = (id: string, answer: HealthCheckOptions | null): void => {
    const runner = view(fleet, id)
    const record = runner === null ? undefined : fleet.apps.get(runner.app)
    const configured = runner === null ? undefined : config().apps.get(runner.app)
    if (closed || runner === null || record === undefined || configured === undefined) return
    const own = configured.options.healthCheck
    if (own !== undefined) {
      const differing = answer === null ? [] : differences(own, answer)
      if (differing.length > 0)
        log({
          level: 'warn',
          event: 'declaration.differs',
          app: runner.app,
          runner: id,
          text: `The configuration wins over ${PATH}: ${differing.join(', ')}.`,
        })
      return
    }
    if (answer === null) declared.delete(runner.app)
    else declared.set(runner.app, answer)
    const now = record.options.healthCheck ?? null
    if (JSON.stringify(now) === JSON.stringify(answer)) return
    const { healthCheck: _, ...rest } = record.options
    supervisor.tell(
      complete({
        type: 'app.configured',
        app: runner.app,
        options: rest,
        policy: record.configured,
        revision: record.revision,
        ...(record.urls !== null && { urls: record.urls }),
      }),
    )
    log({
      level: 'info',
      event: 'declaration.read',
      app: runner.app,
      runner: id,
      healthCheck: answer,
    })
  }

  const ask = (id: string): void => {
    waiting.push(id)
    askNext()
  }
  const askNext = (): void => {
    while (reading < AT_ONCE && waiting.length > 0) {
      const id = waiting.shift()!
      const runner = view(fleet, id)
      if (runner === null || !runner.url.startsWith('http:')) continue
      reading++
      read(runner.url, supervisor.clock)
        .then(
          (answer) => {
            if (answer !== undefined) heard(id, answer)
          },
          (error: Error) =>
            log({
              level: 'warn',
              event: 'declaration.invalid',
              app: runner.app,
              runner: id,
              text: error.message,
            }),
        )
        .finally(() => {
          reading--
          askNext()
        })
    }
  }

  for (const { id } of views(fleet, { states: new Set(['ready', 'suspect']) })) ask(id)
  const forget = supervisor.observe(({ decisions }) => {
    for (const { rule, subject } of decisions) if (rule === 'start.ready') ask(subject.id)
  })
  return {
    complete,
    close() {
      closed = true
      waiting.length = 0
      forget()
    },
  }
}

/** What both say and say differently, as `name configured ≠ declared`. */
function differences(own: HealthCheckOptions, answer: HealthCheckOptions): readonly string[] {
  return names
    .filter(
      (name) => own[name] !== undefined && answer[name] !== undefined && own[name] !== answer[name],
    )
    .map((name) => `${name} ${String(own[name])} configured, ${String(answer[name])} declared`)
}

/** The declaration of one runner; null when it makes none, undefined when it did not say. Rejects with a sentence when it cannot be used. */
function read(url: string, clock: Clock): Promise<HealthCheckOptions | null | undefined> {
  return new Promise((resolve, reject) => {
    const bad = (text: string): void =>
      reject(new Error(`${PATH} ${text}; it counts as no declaration.`))
    let begun = false
    const request = get(new URL(PATH, url), { agent: false }, (response) => {
      begun = true
      if (response.statusCode !== 200) {
        response.destroy()
        resolve(response.statusCode === 404 ? null : undefined)
        return
      }
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes <= MAX_BYTES) chunks.push(chunk)
        else {
          response.destroy()
          bad(`is larger than ${MAX_BYTES} bytes`)
        }
      })
      response.on('end', () => {
        try {
          const value = JSON.parse(Buffer.concat(chunks).toString('utf8')) as HealthCheckOptions
          if (typeof value !== 'object' || value === null) return bad('is not an object')
          const unknown = Object.keys(value).filter(
            (name) => !(names as readonly string[]).includes(name),
          )
          if (unknown.length > 0) return bad(`has ${unknown.join(', ').slice(0, 100)}`)
          checkHealthCheck(PATH, value)
          resolve(value)
        } catch (error) {
          bad(
            error instanceof HealthError ? `is invalid: ${error.message}` : 'is not a JSON object',
          )
        }
      })
      response.on('error', () => bad('broke off'))
    })
    const onTime = clock.after(WITHIN_MS, () => {
      if (begun) bad(`did not come within ${WITHIN_MS / 1000} s`)
      request.destroy()
    })
    request.on('close', onTime)
    // A runner that does not answer this was not asked about its health: nothing changes, and no verdict.
    request.on('error', () => resolve(undefined))
  })
}

/**
 * Callers that send at a given rate, whatever the answers take, over connections that are kept. What finds no free connection waits, and
 * its wait counts: a slow server is not asked less. Run as a program it takes its orders from its parent, so that it has a core of its own.
 */
import { Caller } from './rig-pace.ts'

/** What to send, how often, how long. */
export interface Order {
  readonly port: number
  readonly connections: number
  readonly perSecond: number
  readonly seconds: number
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body: string
}

/** What came of it; times in ms. */
export interface Paced {
  readonly perSecond: number
  readonly errors: number
  readonly p50: number
  readonly p99: number
}

/** Sends for as long as ordered, and waits for the answers. */
export async function pace(order: Order): Promise<Paced> {
  const announced =
    order.body === ''
      ? ''
      : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(order.body)}\r\n`
  const request = `${order.method} ${order.path} HTTP/1.1\r\nhost: 127.0.0.1:${order.port}\r\n${announced}\r\n${order.body}`
  const took: number[] = []
  const waiting: number[] = []
  const idle: Caller[] = []
  let errors = 0
  let open = 0
  const callers = Array.from({ length: order.connections }, () => {
    const caller: Caller = new Caller(order.port, {
      answered(ms, status) {
        took.push(ms)
        if (status < 200 || status >= 300) errors++
        open--
        const next = waiting.shift()
        if (next === undefined) idle.push(caller)
        else caller.send(request, next)
      },
      closed() {
        errors++
        const at = idle.indexOf(caller)
        if (at === -1) open--
        else idle.splice(at, 1)
      },
    })
    return caller
  })
  await Promise.all(callers.map((caller) => caller.ready))
  idle.push(...callers)
  const begun = performance.now()
  let sent = 0
  await new Promise<void>((resolve) => {
    const tick = setInterval(() => {
      const now = performance.now()
      const over = now - begun >= order.seconds * 1000
      const due = over ? sent : Math.floor(((now - begun) / 1000) * order.perSecond)
      for (; sent < due; sent++) {
        open++
        const caller = idle.pop()
        if (caller === undefined) waiting.push(now)
        else caller.send(request, now)
      }
      if (!over || open > 0) return
      clearInterval(tick)
      resolve()
    }, 1)
  })
  const perSecond = took.length / ((performance.now() - begun) / 1000)
  for (const caller of callers) caller.close()
  took.sort((a, b) => a - b)
  const at = (share: number): number => took[Math.floor(took.length * share)] ?? Number.NaN
  return { perSecond, errors, p50: at(0.5), p99: at(0.99) }
}

if (process.argv[1] === import.meta.filename)
  process.on('message', (order: Order) => void pace(order).then((paced) => process.send?.(paced)))

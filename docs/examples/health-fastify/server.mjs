// A Fastify service with everything that a health endpoint should do.
// Run it: PORT=8090 npm run example -- health-fastify; look at /health?verbose.
import { health } from '@health/fastify'
import { lastSuccess } from '@health/checks/last-success'
import { memory } from '@health/checks/memory'
import fastify from 'fastify'

const app = fastify({ logger: { level: process.env.LOG_LEVEL ?? 'warn' } })
const backup = lastSuccess({ maxAgeSeconds: 86_400, critical: false })

await app.register(health, {
  version: '1.0.0',
  checks: {
    // A function is enough: it passes by returning and fails by throwing.
    database: () => Promise.resolve('select 1'),
    cache: { check: () => true, timeoutSeconds: 1, critical: false },
    // In the background, and down only after three failures in a row.
    search: { check: () => true, intervalSeconds: 10, failureThreshold: 3, critical: false },
    memory: memory({ warnPercent: 99, maxPercent: 100, critical: false }),
    backup: backup.check,
  },
  groups: { storage: ['database', 'cache'] },
  info: { region: process.env.REGION ?? 'local' },
  authorize: (request) => request.headers.authorization === `Bearer ${process.env.HEALTH_KEY}`,
  metricsPath: '/metrics',
  overload: { maxEventLoopDelaySeconds: 1, retryAfterSeconds: 5 },
  shutdown: { delaySeconds: Number(process.env.SHUTDOWN_DELAY ?? 5), forceSeconds: 30 },
})

app.get('/', () => ({ hello: 'world' }))
app.post('/backup', () => {
  backup.succeeded()
  return { done: true }
})

console.log(`listening on ${await app.listen({ port: Number(process.env.PORT ?? 8080) })}`)

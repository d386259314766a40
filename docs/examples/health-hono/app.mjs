// The same endpoints in Hono, or in anything else that maps a Request to a Response. Export `app` to the server you use.
import { createCheckup, createEndpoints, fetchHandler } from '@health/checks'
import { Hono } from 'hono'

const checkup = createCheckup({
  version: '1.0.0',
  checks: {
    clock: () => Date.now() > 0,
    cache: { check: () => true, timeoutSeconds: 1, critical: false },
  },
})
const health = fetchHandler(createEndpoints(checkup))

export const app = new Hono()
app.use(async (context, next) => (await health(context.req.raw)) ?? next())
app.get('/', (context) => context.text('hello\n'))

export default app

// The same endpoints as Express middleware: the handler answers what is its own and calls `next` for the rest.
// Run it: PORT=8090 npm run example -- health-express
import { createCheckup, createEndpoints, nodeHandler } from '@health/checks'
import express from 'express'

const checkup = createCheckup({
  version: '1.0.0',
  checks: {
    clock: () => Date.now() > 0,
    cache: { check: () => true, timeoutSeconds: 1, critical: false },
  },
})

const app = express()
app.use(nodeHandler(createEndpoints(checkup)))
app.get('/', (_, response) => response.send('hello\n'))

const server = app.listen(Number(process.env.PORT ?? 8080), process.env.HOST ?? '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`)
})
process.once('SIGTERM', async () => {
  await checkup.shutdown({ delaySeconds: Number(process.env.SHUTDOWN_DELAY ?? 2) })
  checkup.close()
  server.close()
  server.closeIdleConnections()
})

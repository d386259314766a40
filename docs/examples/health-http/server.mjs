// Health endpoints for a plain Node server. Everything else goes to the service's own handler.
// Run it: PORT=8090 npm run example -- health-http
import { createServer } from 'node:http'
import { createCheckup, createEndpoints, nodeHandler } from '@health/checks'
import { disk } from '@health/checks/disk'
import { eventLoop } from '@health/checks/event-loop'

const checkup = createCheckup({
  version: '1.0.0',
  checks: {
    disk: disk({ path: '/', minFreePercent: 1, warnFreePercent: 2, critical: false }),
    'event-loop': eventLoop({ critical: false }),
    clock: () => Date.now() > 0,
  },
})
const health = nodeHandler(createEndpoints(checkup))

const server = createServer((request, response) => {
  if (health(request, response)) return
  response.end('hello\n')
})
server.listen(Number(process.env.PORT ?? 8080), process.env.HOST ?? '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`)
})

process.once('SIGTERM', async () => {
  // Not ready from here on; load balancers get two seconds to notice before the server closes.
  await checkup.shutdown({
    delaySeconds: Number(process.env.SHUTDOWN_DELAY ?? 2),
    forceSeconds: 30,
  })
  checkup.close()
  server.close()
  server.closeIdleConnections()
})

// A runner: one route is its health check, errors say truthfully what happened, and a doubt asks the gateway for a check.
// Run it: PORT=8090 npm run example -- runner-contract
import { health, RunnerError, runnerErrorHandler } from '@health/fastify'
import fastify from 'fastify'

// Stands for a model and what it needs.
const model = { broken: false, run: (prompt) => `a picture of ${prompt}` }

const app = fastify()
await app.register(health, { manualStart: true })
app.setErrorHandler(runnerErrorHandler)

// The gateway reads this at /.well-known/health-check, so nothing has to be configured twice. Keep the check light: it runs
// beside real work, and must not use the GPU.
app.get(
  '/health-check',
  {
    health: { startPeriodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3, callRegularly: true },
  },
  () => {
    if (model.broken) throw new RunnerError('inference_failed', 'the model is gone')
    return { status: 'ok' }
  },
)

const schema = {
  body: { type: 'object', required: ['prompt'], properties: { prompt: { type: 'string' } } },
}
app.post('/', { schema }, (request, reply) => {
  const { prompt } = request.body
  // 422: the caller's mistake; the runner stays.
  if (prompt === '') throw new RunnerError('invalid_input', 'prompt is empty')
  // 504: something else was slow; a queued request is tried again and the runner stays.
  if (prompt === 'slow') throw new RunnerError('dependency_timeout')
  // 503: this runner is broken; it is ended and replaced.
  if (prompt === 'oom') throw new Error('CUDA out of memory. Tried to allocate 2.00 GiB')
  // Not sure: answer, and ask for a check. One failure of it ends the runner.
  if (prompt === 'odd') reply.requestHealthCheck()
  return { image: model.run(prompt) }
})

// Ready only when the model is loaded.
setTimeout(() => app.health.ready(), 50)
console.log(`listening on ${await app.listen({ port: Number(process.env.PORT ?? 8080) })}`)

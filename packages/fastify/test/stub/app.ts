/** An app for the shutdown tests, in a process of its own: it says where it listens, and each thing it is told to hold, it holds. */
import fastify from 'fastify'
import { health } from '../../src/index.ts'

const [delaySeconds, forceSeconds, holds] = process.argv.slice(2)
const app = fastify()
await app.register(health, {
  shutdown: { delaySeconds: Number(delaySeconds), forceSeconds: Number(forceSeconds) },
})
if (holds === 'beacon') app.health.beacon('a job that never ends')
app.get('/hang', () => new Promise(() => undefined))
process.stdout.write(`${await app.listen({ port: 0 })}\n`)

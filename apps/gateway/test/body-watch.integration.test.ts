// Whoever has sent its body is watched no more, and nothing of its request is kept.
import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import fastify from 'fastify'
import { expect, test } from 'vitest'
import { readBodies } from '../src/body-watch.ts'
import type { Lanes } from '../src/lane.ts'

test('a request whose body has come is let go of at once', async ({ onTestFinished }) => {
  const watched = new Set<object>()
  const lanes = {
    wait: () => {
      const wait = { cancel: () => void watched.delete(wait) }
      watched.add(wait)
      return wait
    },
  }
  // As the gateway has it.
  const app = fastify({ http: { optimizeEmptyRequests: true } })
  onTestFinished(() => app.close())
  readBodies(app, lanes as Pick<Lanes, 'wait'> as Lanes, () => 1000)
  app.get('/', async () => 'here')
  app.post('/', async (request) => ({ got: request.body }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  for (let n = 0; n < 3; n++) {
    socket.write(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\n12',
    )
    await expect.poll(() => watched.size).toBe(1)
    socket.write('34')
    expect(String((await once(socket, 'data'))[0])).toContain('{"got":1234}')
    await expect.poll(() => watched.size).toBe(0)
  }
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  expect(String((await once(socket, 'data'))[0])).toContain('here')
  await expect.poll(() => watched.size).toBe(0)
})

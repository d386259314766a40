// A list of facts is told whole or not at all.
import { expect, test } from 'vitest'
import { startGateway } from './running-gateway.ts'

test('a list whose second fact carries an invalid option changes nothing', async () => {
  const gateway = await startGateway({ apps: {} })
  try {
    const response = await fetch(`${gateway.url}/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([
        { type: 'order.cordon', node: 'local', by: 'ann' },
        { type: 'policy.changed', app: null, change: { nope: 1 }, by: 'ann' },
      ]),
    })
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({ path: '[1].nope' })
    expect(gateway.supervisor.fleet.nodes.view('local')?.state).toBe('healthy')
  } finally {
    await gateway.close()
  }
})

// The channel over SSE: the same frames, resumed by the browser's own header, with the same bounds.
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { type Message, stage } from './stage.ts'

const watch = { type: 'subscribe', topics: ['runners'] }
/** Turns of the event loop, for what nobody announces. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5))
}

describe('over SSE', () => {
  interface Stream {
    readonly response: IncomingMessage
    text: string
  }
  /** Asks and collects the text of the answer. */
  async function listen(port: number, query: string, headers = {}): Promise<Stream> {
    const request = httpRequest({ port, host: '127.0.0.1', path: `/?${query}`, headers }).end()
    request.on('error', () => {})
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const stream = { response, text: '' }
    response.setEncoding('utf8').on('data', (chunk: string) => (stream.text += chunk))
    response.on('error', () => {})
    return stream
  }
  const events = ({ text }: Stream): Message[] =>
    [...text.matchAll(/^id: (\d+)\ndata: (.*)\n$/gm)].map(([, id, data]) => ({
      id: Number(id),
      ...(JSON.parse(data!) as Message),
    }))

  test('the same frames, each with its number as id', async () => {
    await using here = await stage()
    here.state['runners'] = [{ id: 'r1' }]
    const client = await here.client().open()
    await client.say(watch).messages(1)
    const stream = await listen(here.port, 'topics=runners')
    expect(stream.response.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    for (let i = 0; i < 3; i++) here.channel.publish('runners', 'a/b', { i })
    await client.messages(4)
    await until(() => events(stream).length === 4)
    expect(events(stream)).toEqual(
      client.got.map((message) => ({ id: message['seq'], ...message })),
    )
    expect(here.channel.size).toBe(2)
    stream.response.destroy()
    await until(() => here.channel.size === 1)
  })

  test('a browser that comes back is given what it missed', async () => {
    await using here = await stage()
    const stream = await listen(here.port, 'topics=runners')
    await until(() => events(stream).length === 1)
    const { id } = events(stream)[0]!
    stream.response.destroy()
    await until(() => here.channel.size === 0)
    here.channel.publish('runners', null, { missed: true })
    const again = await listen(here.port, 'topics=runners&since=1', { 'last-event-id': String(id) })
    await until(() => events(again).length === 1)
    expect(events(again)).toMatchObject([{ type: 'event', data: { missed: true } }])
  })

  test('a wrong query is refused before anything is sent', async () => {
    await using here = await stage()
    const stream = await listen(here.port, 'topics=cats')
    expect(stream.response.statusCode).toBe(422)
    await once(stream.response, 'end')
    expect(JSON.parse(stream.text)).toMatchObject({ code: 'unknown_topic' })
    expect(here.channel.size).toBe(0)
  })

  test('HEAD is answered by the head alone, and nobody is there afterwards', async () => {
    await using here = await stage()
    const { status, headers, body } = await fetch(`http://127.0.0.1:${here.port}/?topics=runners`, {
      method: 'HEAD',
      signal: AbortSignal.timeout(2000),
    })
    expect([status, headers.get('content-type'), body]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
      null,
    ])
    expect(here.channel.size).toBe(0)
  })

  test('one that does not read is cut, and the others go on', async () => {
    await using here = await stage({ maxBacklog: 100_000, behindMs: 300 })
    const stream = await listen(here.port, 'topics=runners')
    stream.response.pause()
    const quick = await here.client().open()
    await quick.say(watch).messages(1)
    const text = 'x'.repeat(20_000)
    // The next round when the quick one has the last: however slow the machine, it is never behind.
    for (let told = 0; here.channel.size > 1;) {
      for (let i = 0; i < 20; i++) here.channel.publish('runners', null, { text })
      await quick.messages(1 + (told += 20))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await quick.settled()
    expect(quick.got.every(({ because }) => because === undefined)).toBe(true)
  })

  test('silence is broken by comments, so that nothing between cuts it', async () => {
    await using here = await stage({ heartbeatMs: 20 })
    const stream = await listen(here.port, 'topics=gpu')
    await until(() => (stream.text.match(/^:$/gm) ?? []).length >= 2)
    expect(stream.text).toContain('retry: 1000\n\n')
  })
})

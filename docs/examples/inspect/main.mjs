/** Serves the example: a page with three buttons, the frames of the fleet, and the modules that the page imports. Run it: npm run example -- inspect */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { imports, moduleOf } from './module.mjs'
import { begin } from './orchestra.mjs'

const gateway = process.env.HEALTH_URL ?? 'http://127.0.0.1:8080'
const page = readFileSync(new URL('page.html', import.meta.url), 'utf8')
  .replace('IMPORTS', JSON.stringify({ imports }))
  .replace(
    'INSPECTOR_URL',
    new URL('inspect', gateway.endsWith('/') ? gateway : `${gateway}/`).href,
  )
const readers = new Set()
const line = (frame) => `data: ${JSON.stringify(frame)}\n\n`
const orchestra = begin((frame) => {
  for (const reader of readers) reader.write(line(frame))
})

const server = createServer((request, response) => {
  const path = new URL(request.url, 'http://any').pathname
  if (path === '/')
    return response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page)
  if (path === '/break') {
    orchestra.breakAll()
    return response.writeHead(204).end()
  }
  if (path === '/frames') {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const frame of orchestra.replay()) response.write(line(frame))
    readers.add(response)
    return response.once('close', () => readers.delete(response))
  }
  const text = moduleOf(path)
  if (text === null) return response.writeHead(404).end()
  return response.writeHead(200, { 'content-type': 'text/javascript; charset=utf-8' }).end(text)
})
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () =>
  console.log(`http://127.0.0.1:${server.address().port}`),
)
process.once('SIGTERM', () => {
  orchestra.end()
  server.closeAllConnections()
  server.close()
})

// A runner that is ended by every request while the file that SICK names exists, and answers them otherwise, after `?delay` ms.
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://runner')
  if (url.pathname === '/health') return response.writeHead(200).end()
  if (url.pathname.startsWith('/.well-known/')) return response.writeHead(404).end()
  request.resume().on('end', () => {
    if (existsSync(process.env.SICK)) return response.writeHead(503).end()
    setTimeout(() => response.end('well'), Number(url.searchParams.get('delay') ?? 0))
  })
})
server.listen(Number(process.env.PORT), '127.0.0.1')
process.on('SIGTERM', () => server.close(() => process.exit(0)))

// A runner whose health check is invasive: it multiplies matrices on its device, by the program of examples/gpu-check.py. CHECK is that
// program with its arguments, as JSON; what else it needs stands in its own environment.
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'

const [program, ...args] = JSON.parse(process.env.CHECK)
let busy = 0

createServer((request, response) => {
  const url = new URL(request.url, 'http://runner')
  if (url.pathname !== '/health') {
    if (url.pathname.startsWith('/.well-known/')) return response.writeHead(404).end()
    busy++
    setTimeout(
      () => {
        busy--
        response.end('{}')
      },
      Number(url.searchParams.get('ms') ?? 0),
    )
    return
  }
  const beside = busy
  execFile(program, args, (error, stdout) => {
    const says = stdout.trimEnd().split('\n').at(-1)
    console.log(`check beside ${beside} requests: exit ${error?.code ?? 0}, ${says}`)
    response.writeHead(error === null ? 200 : 503).end(says)
  })
}).listen(Number(process.env.PORT), '127.0.0.1')

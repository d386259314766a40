/**
 * Servers for tests: ones that misbehave as told, and real ones of this machine. All listen on loopback at a free port; whoever
 * starts one ends it.
 */
import { spawn } from 'node:child_process'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import type { TestContext } from 'vitest'

export interface Stub extends AsyncDisposable {
  readonly port: number
  /** Connections that are open now. */
  readonly sockets: ReadonlySet<Socket>
  /** Resolves when no connection is open any more. */
  idle(): Promise<void>
}

/** A TCP server; without `talk` it accepts and never says a word. */
export async function listen(talk: (socket: Socket) => void = () => undefined): Promise<Stub> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => {
      sockets.delete(socket)
      if (sockets.size === 0) server.emit('idle')
    })
    // Read, so that the end of the other side is seen.
    socket.resume()
    talk(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    async idle() {
      if (sockets.size > 0) await once(server, 'idle')
    },
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}

/** A port where nothing listens. */
export async function closedPort(): Promise<number> {
  const stub = await listen()
  const { port } = stub
  await stub[Symbol.asyncDispose]()
  return port
}

export async function accepts(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** A real server of one's own, or null when its program is not installed. */
export async function launch(
  program: string,
  args: (port: number) => string[],
): Promise<(AsyncDisposable & { readonly port: number }) | null> {
  const port = await closedPort()
  const child = spawn(program, args(port), { stdio: 'ignore' })
  const failed = once(child, 'error').then(() => true)
  const isGone = await Promise.race([failed, once(child, 'spawn').then(() => false)])
  if (isGone) return null
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    if (await accepts(port)) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** Skips a test for a reason that is printed; where everything must be there (CI) the lack is a failure. */
export function lacks(context: TestContext, what: string): never {
  if (process.env['CI'] === 'true') throw new Error(`${what} is missing, and CI has to have it`)
  context.skip(`${what} is missing on this machine`)
}

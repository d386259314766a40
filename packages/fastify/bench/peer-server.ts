/**
 * One of the peers that are measured, with three async checks where it can have them: `node peer-server.ts FOLDER KIND`. They are
 * loaded from that folder, so nothing here has their types. It tells its port and, when asked, its CPU time.
 */
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

type Peer = Record<string, (...given: never[]) => unknown>
const [, , folder = '', kind = ''] = process.argv
const load = createRequire(join(folder, 'package.json'))

const query = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const all = async (): Promise<object> => {
  await Promise.all([query(), query(), query()])
  return { database: 'up', cache: 'up', queue: 'up' }
}

const listen = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** What of a Fastify app is used here. */
interface App {
  register(plugin: unknown, options: object): Promise<unknown>
  listen(at: object): Promise<string>
}

const kinds: Readonly<Record<string, () => Promise<number>>> = {
  async '@godaddy/terminus'() {
    const { createTerminus } = load('@godaddy/terminus') as Peer
    const server = createServer((_, response) => response.end())
    createTerminus!(server as never, { healthChecks: { '/health': all } } as never)
    return listen(server)
  },
  async '@fastify/under-pressure'() {
    const app = (load('fastify') as () => App)()
    // It runs its one check on a timer, and answers the last result.
    await app.register(load('@fastify/under-pressure'), {
      exposeStatusRoute: { routeOpts: {}, url: '/health' },
      healthCheck: async () => {
        await all()
        return true
      },
      healthCheckInterval: 1000,
    })
    return Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port)
  },
  async lightship() {
    const { createLightship } = (await import(
      pathToFileURL(join(folder, 'node_modules/lightship/dist/esm/index.js')).href
    )) as Peer
    const made = (await createLightship!({ detectKubernetes: false, port: 0 } as never)) as {
      readonly server: Server
      signalReady(): void
    }
    made.signalReady()
    return (made.server.address() as AddressInfo).port
  },
  async '@nestjs/terminus'() {
    load('reflect-metadata')
    const { Controller, Get, Module } = load('@nestjs/common') as Record<
      string,
      (...given: unknown[]) => (...on: unknown[]) => void
    >
    const { NestFactory } = load('@nestjs/core') as {
      NestFactory: {
        create(
          root: unknown,
          adapter: unknown,
          options: object,
        ): Promise<{
          listen(port: number, host: string): Promise<unknown>
          getUrl(): Promise<string>
        }>
      }
    }
    const { FastifyAdapter } = load('@nestjs/platform-fastify') as {
      FastifyAdapter: new () => unknown
    }
    const { TerminusModule, HealthCheckService } = load('@nestjs/terminus') as Record<
      string,
      object
    >
    class Health {
      readonly #service: { check(list: readonly (() => Promise<object>)[]): Promise<object> }
      constructor(service: { check(list: readonly (() => Promise<object>)[]): Promise<object> }) {
        this.#service = service
      }
      check(): Promise<object> {
        const one = (name: string) => async () => {
          await query()
          return { [name]: { status: 'up' } }
        }
        return this.#service.check([one('database'), one('cache'), one('queue')])
      }
    }
    // What decorators would do.
    const { defineMetadata } = Reflect as unknown as {
      defineMetadata: (key: string, value: unknown, target: object) => void
    }
    defineMetadata('design:paramtypes', [HealthCheckService], Health)
    Get!()(Health.prototype, 'check', Object.getOwnPropertyDescriptor(Health.prototype, 'check'))
    Controller!('health')(Health)
    class Root {}
    Module!({ imports: [TerminusModule], controllers: [Health] })(Root)
    const app = await NestFactory.create(Root, new FastifyAdapter(), { logger: false })
    await app.listen(0, '127.0.0.1')
    return Number(new URL(await app.getUrl()).port)
  },
}

process.on('message', () => process.send?.({ cpu: process.cpuUsage() }))
process.on('disconnect', () => process.exit())
process.send?.({ port: await kinds[kind]!() })

/**
 * The configuration without a file: one app that answers its input and can be told to misbehave, so that anybody can see each rule
 * work within seconds. Data only.
 */
import { fileURLToPath } from 'node:url'

/** The gateway's own folder: `examples` lies there, from source and from the package alike. */
export const demoFolder: string = fileURLToPath(new URL('..', import.meta.url))

/** As it would stand in a file. `node` is the one that runs the gateway, whatever PATH says. */
export const demoConfig = {
  apps: {
    'demo/echo': {
      command: [process.execPath, 'examples/echo.mjs'],
      healthCheck: {
        path: '/health',
        startPeriodSeconds: 5,
        intervalSeconds: 2,
        timeoutSeconds: 1,
      },
      startupTimeoutSeconds: 5,
      requestTimeoutSeconds: 10,
      minConcurrency: 1,
      maxConcurrency: 3,
    },
  },
} as const

import { defineConfig } from 'vitest/config'

// Projects by kind, so that the file does not grow with the packages. `integration` needs ports, processes or servers.
export default defineConfig({
  ssr: { resolve: { conditions: ['@health/source'] } },
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{packages,apps}/*/test/**/*.test.ts'],
          exclude: ['**/*.integration.test.ts'],
          // Walks and properties take seconds; on a loaded machine many times that. A limit is there to end a hang, not to time.
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['{packages,apps}/*/test/**/*.integration.test.ts', 'docs/test/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})

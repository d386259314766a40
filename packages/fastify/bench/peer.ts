/**
 * The packages that others use for health endpoints, installed on demand into a folder of the system's temporary files, never into
 * the workspace. Without npm or a registry there are no peers, and the bench says so.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const wanted = {
  '@fastify/under-pressure': '^9',
  '@godaddy/terminus': '^4',
  '@nestjs/common': '^11',
  '@nestjs/core': '^11',
  '@nestjs/platform-fastify': '^11',
  '@nestjs/terminus': '^11',
  fastify: '^5',
  lightship: '^9',
  'reflect-metadata': '^0.2',
  rxjs: '^7',
}

/** Where the peers are kept between runs. */
export const peerFolder = join(tmpdir(), `health-bench-peers-${process.getuid?.() ?? 0}`)

/** Installs the peers; the reason why there are none, or null. */
export function installPeers(): string | null {
  const manifest = JSON.stringify({ private: true, dependencies: wanted }, null, 2)
  const done = join(peerFolder, 'node_modules', '.package-lock.json')
  if (existsSync(done)) return null
  mkdirSync(peerFolder, { recursive: true, mode: 0o700 })
  writeFileSync(join(peerFolder, 'package.json'), manifest)
  const { status, error, stderr } = spawnSync(
    'npm',
    [
      'install',
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      '--legacy-peer-deps',
      '--loglevel=error',
    ],
    { cwd: peerFolder, encoding: 'utf8', timeout: 180_000 },
  )
  if (error !== undefined) return error.message
  return status === 0 ? null : (stderr.split('\n')[0] ?? `npm ended with ${status}`)
}

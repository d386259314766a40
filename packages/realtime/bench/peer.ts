/**
 * socket.io, which others use for the same work, installed on demand into a folder of the system's temporary files, never into the
 * workspace. Without npm or a registry there is none, and the bench says so.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where it is kept between runs. */
export const peerFolder: string = join(
  tmpdir(),
  `health-bench-channel-peers-${process.getuid?.() ?? 0}`,
)

/** Installs it; the reason why it is not there, or null. */
export function installPeers(): string | null {
  if (existsSync(join(peerFolder, 'node_modules', '.package-lock.json'))) return null
  mkdirSync(peerFolder, { recursive: true, mode: 0o700 })
  const manifest = { private: true, dependencies: { 'socket.io': '^4.8' } }
  writeFileSync(join(peerFolder, 'package.json'), JSON.stringify(manifest, null, 2))
  const { status, error, stderr } = spawnSync(
    'npm',
    ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'],
    { cwd: peerFolder, encoding: 'utf8', timeout: 180_000 },
  )
  if (error !== undefined) return error.message
  return status === 0 ? null : (stderr.split('\n')[0] ?? `npm ended with ${status}`)
}

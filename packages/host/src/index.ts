export { createHost, joinHosts } from './host.ts'
export { createProcessHost, type ProcessHostOptions } from './process-host.ts'
export { createUrlHost } from './url-host.ts'
export { logPath } from './output-log.ts'
export type { Inherited } from './launch.ts'
export {
  endOrphans,
  findOrphans,
  type Orphan,
  type OrphanEnding,
  type OrphanSearch,
} from './orphan.ts'

/** The usual numbers of a process and of Node, under the names that dashboards expect. What the system does not say is left out. */
import { readdirSync, readFileSync } from 'node:fs'
import { mostDescriptors } from './descriptor.ts'
import type { Gauge } from './metric.ts'
import type { MetricName } from './metric-table.ts'

const one = (name: MetricName, value: () => number | null): Gauge => ({
  name,
  read() {
    const read = value()
    return read === null ? [] : [['', read]]
  },
})

/** A file of /proc/self; null where there is none. */
function self(file: string): string | null {
  try {
    return readFileSync(`/proc/self/${file}`, 'utf8')
  } catch {
    return null
  }
}

function descriptors(): number | null {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return null
  }
}

const found = (text: string | null, pattern: RegExp): number | null => {
  const number = Number(text === null ? Number.NaN : pattern.exec(text)?.[1])
  return Number.isFinite(number) ? number : null
}

const kibibytes = (value: number | null): number | null => (value === null ? null : value * 1024)

/** The default process metrics. */
export const processGauges: readonly Gauge[] = [
  one('process_cpu_seconds_total', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  }),
  one('process_resident_memory_bytes', () => process.memoryUsage.rss()),
  one('process_virtual_memory_bytes', () =>
    kibibytes(found(self('status'), /^VmSize:\s+(\d+) kB$/m)),
  ),
  one('process_open_fds', descriptors),
  one('process_max_fds', mostDescriptors),
  one('process_start_time_seconds', () => Date.now() / 1000 - process.uptime()),
  one('nodejs_heap_size_total_bytes', () => process.memoryUsage().heapTotal),
  one('nodejs_heap_size_used_bytes', () => process.memoryUsage().heapUsed),
  one('nodejs_external_memory_bytes', () => process.memoryUsage().external),
  {
    name: 'nodejs_version_info',
    read: () => [[`version="${process.version}"`, 1]],
  },
]

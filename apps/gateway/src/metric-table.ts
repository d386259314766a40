/** Every metric by its name: type, labels, what it says. The page that Prometheus reads and the reference are made from it. */

/** One metric. */
export interface MetricSpec {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  readonly says: string
}

/** All metrics that a gateway may show; those of the process only where the system says them. */
export const metricTable = {
  health_runners: { type: 'gauge', labels: ['app', 'state'], says: 'Runners by state.' },
  health_transitions_total: {
    type: 'counter',
    labels: ['app', 'from', 'to', 'rule'],
    says: "Changes of a runner's state, by rule.",
  },
  health_terminations_total: {
    type: 'counter',
    labels: ['app', 'reason', 'enforced'],
    says: 'Runners ended, or kept by a guard or a dry run though a rule asked for their end (enforced="false").',
  },
  health_probe_duration_seconds: {
    type: 'histogram',
    labels: ['app', 'kind', 'result'],
    says: 'Time until a probe was answered.',
  },
  health_requests_total: {
    type: 'counter',
    labels: ['app', 'mode', 'status'],
    says: 'Requests that ended, by answered status.',
  },
  health_request_duration_seconds: {
    type: 'histogram',
    labels: ['app', 'mode'],
    says: 'From arrival to the last byte.',
  },
  health_attempts_total: {
    type: 'counter',
    labels: ['app', 'outcome'],
    says: 'Attempts that ended, by outcome.',
  },
  health_retries_total: {
    type: 'counter',
    labels: ['app', 'condition'],
    says: 'Requests put back into the queue, by condition.',
  },
  health_queue_depth: { type: 'gauge', labels: ['app'], says: 'Queued requests that wait.' },
  health_queue_oldest_seconds: {
    type: 'gauge',
    labels: ['app'],
    says: 'Age of the oldest waiting request.',
  },
  health_guard_state: {
    type: 'gauge',
    labels: ['app', 'guard'],
    says: '1 while a fleet guard holds something back: self, panic, cap, rate.',
  },
  health_app_degraded: {
    type: 'gauge',
    labels: ['app'],
    says: '1 while an app is degraded: it cannot start runners.',
  },
  health_node_alert: {
    type: 'gauge',
    labels: ['node', 'name'],
    says: '1 while an alert about a node is true: node.suspect, node.cordoned, node.escalated, telemetry.unknown.',
  },
  health_loop_delay_seconds: { type: 'gauge', labels: [], says: 'How late our own loop was.' },
  health_journal_seq: { type: 'gauge', labels: [], says: 'Number of the last journaled event.' },
  health_alerts_total: { type: 'counter', labels: ['name'], says: 'Alerts raised, by name.' },
  health_gateway_events_total: {
    type: 'counter',
    labels: ['event'],
    says: 'Things that should be rare.',
  },
  process_cpu_seconds_total: { type: 'counter', labels: [], says: 'User and system time.' },
  process_resident_memory_bytes: { type: 'gauge', labels: [], says: 'Resident memory.' },
  process_virtual_memory_bytes: { type: 'gauge', labels: [], says: 'Virtual memory.' },
  process_open_fds: { type: 'gauge', labels: [], says: 'Open file descriptors.' },
  process_max_fds: { type: 'gauge', labels: [], says: 'File descriptors that may be open.' },
  process_start_time_seconds: {
    type: 'gauge',
    labels: [],
    says: 'Start of this process, Unix time.',
  },
  nodejs_heap_size_total_bytes: { type: 'gauge', labels: [], says: 'Heap.' },
  nodejs_heap_size_used_bytes: { type: 'gauge', labels: [], says: 'Used heap.' },
  nodejs_external_memory_bytes: {
    type: 'gauge',
    labels: [],
    says: 'Memory outside of the heap.',
  },
  nodejs_version_info: { type: 'gauge', labels: ['version'], says: 'Version of Node.' },
} as const satisfies Record<string, MetricSpec>

/** Name of a metric. */
export type MetricName = keyof typeof metricTable

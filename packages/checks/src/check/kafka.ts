/**
 * Kafka: asks for the cluster's brokers through the service's own admin client. There is no connection of its own here, so no
 * driver is needed.
 */
import { CheckFailure } from '../failure.ts'
import { atLeast, complete, number, split } from '../measure.ts'
import type { CheckOptions, CheckSettings } from '../option.ts'

/** A connected admin client of `kafkajs` or of Confluent's client. */
export interface KafkaAdmin {
  describeCluster?(): Promise<{ brokers: readonly unknown[] }>
  listTopics(): Promise<readonly string[]>
}

export interface KafkaOptions {
  readonly admin: KafkaAdmin
  /** Brokers that must be there. Default 1; needs `describeCluster`. */
  readonly minBrokers?: number
  /** Topics that must exist. */
  readonly topics?: readonly string[]
}

const known = { admin: true, minBrokers: true, topics: true } as const satisfies Record<
  keyof KafkaOptions,
  true
>

/** A check of a Kafka cluster. */
export function kafka(options: KafkaOptions & CheckSettings): CheckOptions {
  const { own, settings } = split<KafkaOptions>('kafka', options, known)
  const { admin, minBrokers = 1, topics = [] } = own
  number(minBrokers, 'kafka.minBrokers', 1)
  return complete(settings, async () => {
    const wantsTopics = topics.length > 0 || admin.describeCluster === undefined
    const [cluster, there] = await Promise.all([
      admin.describeCluster?.(),
      wantsTopics ? admin.listTopics() : ([] as readonly string[]),
    ])
    for (const topic of topics) if (!there.includes(topic)) throw new CheckFailure('not_found')
    if (cluster === undefined) return { status: 'healthy' }
    return atLeast(cluster.brokers.length, 'count', { min: minBrokers })
  })
}

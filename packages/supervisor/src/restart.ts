/**
 * What was before: the newest snapshot, then every event after it through `step`, so that the fleet is what it was when the
 * journal ended. Orders that come out are not carried out again; decisions that had not reached their file are kept.
 */
import {
  createFleet,
  restore,
  step,
  type Fleet,
  type HealthEvent,
  type PolicyOptions,
} from '@health/core'
import type { DataDirectory } from './data-directory.ts'
import type { DecisionLog } from './decision-log.ts'
import { readJournal, type JournalEnd } from './journal-tail.ts'
import { listSegments } from './segment.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import { WallHistory } from './wall-history.ts'

/** What {@link recall} needs. */
export interface RecallOptions {
  readonly directory: DataDirectory
  readonly snapshots: SnapshotStore
  readonly decisions: Pick<DecisionLog, 'append'>
  /** Of a fleet that has no past; later the journal's own count. */
  readonly policy: PolicyOptions
  readonly seed: number
  readonly warn: (text: string) => void
}

/** A fleet as the journal left it. */
export interface Past {
  readonly fleet: Fleet
  readonly walls: WallHistory
  readonly end: JournalEnd
  /** Events replayed. */
  readonly replayed: number
}

/** Wall times are told by two facts. */
export function noteWall(walls: WallHistory, event: HealthEvent): void {
  if (event.type === 'core.started' || event.type === 'clock.resumed')
    walls.add(event.at, event.wall)
}

/** See the head of this file. Throws the codes of `readJournal` and HEALTH_SNAPSHOT_FORMAT. */
export async function recall(options: RecallOptions): Promise<Past> {
  const { directory, snapshots, decisions, policy, seed, warn } = options
  const stored = await snapshots.load((file) => ({ fleet: restore(file.fleet), wall: file.wall }))
  const fleet = stored?.fleet ?? begin(directory, policy, seed)
  const walls = new WallHistory(stored?.wall)
  let replayed = 0
  const end = await readJournal(directory.journal, fleet.seq, (event) => {
    noteWall(walls, event)
    for (const decision of step(fleet, event).decisions) decisions.append(decision)
    replayed++
  })
  if (end.warning !== null) warn(end.warning)
  return { fleet, walls, end, replayed }
}

/** Without a snapshot the first file says which policy and chance the record began with. */
function begin(directory: DataDirectory, policy: PolicyOptions, seed: number): Fleet {
  const header = listSegments(directory.journal, '')[0]?.header
  return createFleet((header?.['policy'] as PolicyOptions | undefined) ?? policy, {
    seed: typeof header?.['seed'] === 'number' ? header['seed'] : seed,
  })
}

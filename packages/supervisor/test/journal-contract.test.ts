import { mkdtempSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HealthEvent } from '@health/core'
import { journalContract, ManualClock } from '@health/testkit'
import { FileJournal } from '../src/journal.ts'
import { readJournal } from '../src/journal-tail.ts'
import { SegmentLog } from '../src/segment-log.ts'

journalContract('files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'))
  const clock = new ManualClock()
  let refusing = false
  const log = new SegmentLog({
    folder,
    prefix: '',
    segmentBytes: 4_000,
    header: (seq) => ({ format: 1, policy: {}, seed: 1, seq }),
    onError: (error) => {
      throw error
    },
    write: (fd, data, from, length) => {
      if (refusing) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
      return writeSync(fd, data, from, length)
    },
  })
  const journal = new FileJournal({
    log,
    clock,
    from: 0,
    replace: () => null,
    onFailing: () => {},
  })
  return Promise.resolve({
    journal,
    async read() {
      const events: HealthEvent[] = []
      await readJournal(folder, 0, (event) => events.push(event))
      return events
    },
    refuse: (refuse) => (refusing = refuse),
    retry: async () => void (await clock.pass(1_000)),
    clean: () => Promise.resolve(rmSync(folder, { recursive: true })),
  })
})

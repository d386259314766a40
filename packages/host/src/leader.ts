/**
 * Starts the leader of a new process group: no shell, no input, output to a file, nothing shared with us that would end with us.
 * It answers once, started or refused, and tells the leader's end; what else lives in the group is not its business.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import type { Preparation } from './launch.ts'
import { closeLog } from './output-log.ts'
import { ProcessGroup } from './process-group.ts'
import type { ProcessTable } from './process-table.ts'
import type { LeaderEnd } from './runner-process.ts'
import { sayWhy, type Refusal } from './start-failure.ts'

/** Who is told; `started` or `refused` once, `ended` once after `started`. */
export interface LeaderListener {
  started(group: ProcessGroup): void
  refused(why: Refusal, detail: string): void
  ended(end: LeaderEnd): void
}

/** Starts the program. `log` is closed here; null: the output goes nowhere. */
export function startLeader(
  what: Preparation,
  log: number | null,
  table: ProcessTable,
  on: LeaderListener,
): void {
  const output = log ?? 'ignore'
  let child: ChildProcess
  try {
    child = spawn(what.program, what.args, {
      cwd: what.cwd,
      env: what.env,
      detached: true,
      stdio: ['ignore', output, output],
    })
  } catch (error) {
    return on.refused(...sayWhy(error as NodeJS.ErrnoException, what.program))
  } finally {
    if (log !== null) closeLog(log)
  }
  // Node tells some failures by an event and throws the others.
  child.on('error', (error) => {
    if (child.pid === undefined) on.refused(...sayWhy(error, what.program))
  })
  if (child.pid === undefined) return
  child.unref()
  // Not reaped before the next turn of the loop, so the table knows it even when it has ended already.
  const startTime = startTimeOf(child.pid, table)
  if (startTime === undefined) {
    child.kill('SIGKILL')
    return on.refused(
      'no_capacity',
      'The process cannot be seen, so it could not be ended later: it was ended now.',
    )
  }
  child.once('exit', (code, signal) => on.ended({ code, signal }))
  on.started(new ProcessGroup(child.pid, startTime, table))
}

/** Undefined when it cannot be seen. */
function startTimeOf(pid: number, table: ProcessTable): string | undefined {
  try {
    return table.find(pid)?.startTime
  } catch {
    return undefined
  }
}

/**
 * What is left of a tool that nobody waits for any more: a process that the kernel does not end, or the output that something it
 * started still holds. It may go on, and is listened to while we run, but it never keeps us from ending.
 */
import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'

/** Lets this process end while the child, or whoever has its streams, lives on. */
export function leave(child: ChildProcess): void {
  child.unref()
  for (const stream of [child.stdin, child.stdout, child.stderr])
    (stream as Socket | null | undefined)?.unref()
}

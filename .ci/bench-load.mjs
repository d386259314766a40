// How much of the machine others take: everything that is busy, less us, the children that we waited for and the kernel's own threads,
// which write what we wrote. It reads counters and judges nothing.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

/** Cores of others from which on numbers are weak; with less, ratios of one run have held. */
export const BUSY_CORES = 0.3
const TICKS_PER_SECOND = 100

/** Bit of the flags of a process that says that it is a thread of the kernel. */
const KERNEL_THREAD = 0x20_0000

/** Interrupts are left out: those of our own network traffic are nobody's. */
function busyTicks() {
  const [user, nice, system, , , , , steal] = numbers(readFileSync('/proc/stat', 'utf8').slice(4))
  return user + nice + system + steal
}

const numbers = (text) => text.trim().split(/\s+/, 40).map(Number)

/** What follows the name in the kernel's line about a process, from its parent on: flags at 5, own and waited ticks from 10. */
const fieldsOf = (pid) => {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return numbers(text.slice(text.lastIndexOf(')') + 4))
}
const sum = (list) => list.reduce((total, one) => total + one, 0)

function kernelTicks(pid) {
  try {
    const fields = fieldsOf(pid)
    return (fields[5] & KERNEL_THREAD) === 0 ? 0 : sum(fields.slice(10, 12))
  } catch {
    return 0 // it has ended
  }
}

function ownTicks() {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return sum(fieldsOf('self').slice(10, 14)) + sum(pids.map(kernelTicks))
}

/** Starts to watch; the answer tells how many cores others took since then. NaN where there is no /proc. */
export function watchOthers() {
  try {
    const [begun, busy, own] = [performance.now(), busyTicks(), ownTicks()]
    return () => {
      const ticks = busyTicks() - busy - (ownTicks() - own)
      return Math.max(0, ticks / TICKS_PER_SECOND / ((performance.now() - begun) / 1_000))
    }
  } catch {
    return () => Number.NaN
  }
}

/** Cores that are taken while we do nothing for a second. */
export async function sampleOthers() {
  const others = watchOthers()
  await pause(1_000)
  return others()
}

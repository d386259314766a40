// How much of the machine others take: everything that is busy, less us and the children that we waited for. It reads the kernel's
// counters and judges nothing but whether a measurement beside them is to be trusted.
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

/** Cores of others from which on numbers are weak; with less, ratios of one run have held. */
export const BUSY_CORES = 0.3
const TICKS_PER_SECOND = 100

const words = (file, from) => {
  const text = readFileSync(file, 'utf8')
  return text.slice(from(text)).trim().split(/\s+/).map(Number)
}
/** Interrupts are left out: those of our own network traffic are nobody's. */
const busyTicks = () => {
  const [user, nice, system, , , , , steal] = words('/proc/stat', () => 4)
  return user + nice + system + steal
}
const ownTicks = () =>
  words('/proc/self/stat', (text) => text.lastIndexOf(')') + 4)
    .slice(10, 14)
    .reduce((sum, ticks) => sum + ticks, 0)

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

/**
 * The kernel's log as a device: one record a read, nothing that blocks, a cursor over restarts. A terminal stands in for `/dev/kmsg`: it too
 * gives one line a read and says EAGAIN.
 */
import { spawn, spawnSync } from 'node:child_process'
import { afterEach, describe, expect, test } from 'vitest'
import { ManualClock } from '@health/testkit'
import { KernelLog } from '../src/kernel-log.ts'
import { Telling } from './telling.ts'

const TERMINAL = `
import fcntl, os, struct, sys, termios, time
master, slave = os.openpty()
def waiting():
    return struct.unpack("i", fcntl.ioctl(slave, termios.FIONREAD, b"0000"))[0]
mode = termios.tcgetattr(slave)
mode[1] &= ~termios.OPOST
mode[3] &= ~termios.ECHO
termios.tcsetattr(slave, termios.TCSANOW, mode)
print(os.ttyname(slave), flush=True)
for line in sys.stdin:
    before = waiting()
    os.write(master, line.encode())
    # A terminal passes lines on in its own time.
    while waiting() == before:
        time.sleep(0.001)
    sys.stdout.write("+")
    sys.stdout.flush()
`
const missing = spawnSync('python3', ['--version']).status === 0 ? null : 'no python3'
if (missing !== null && process.env.CI === 'true')
  throw new Error(`The kernel's log cannot be tested here: ${missing}`)
if (missing !== null) console.log(`skipped: the kernel's log as a device, ${missing}`)

/** A device into which a test writes records. */
class Records {
  readonly #child = spawn('python3', ['-c', TERMINAL], { stdio: ['pipe', 'pipe', 'inherit'] })
  #said = ''
  #sent = 0
  #wake: () => void = () => {}

  constructor() {
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text
      this.#wake()
    })
  }

  get path(): string {
    return this.#said.split('\n')[0]!
  }

  /** Resolves when the terminal has its name and every line so far has arrived in it. */
  async ready(): Promise<void> {
    const arrived = (): number => this.#said.split('+').length - 1
    while (!this.#said.includes('\n') || arrived() < this.#sent)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
  }

  async write(...lines: string[]): Promise<void> {
    this.#sent += lines.length
    this.#child.stdin.write(lines.map((line) => `${line}\n`).join(''))
    await this.ready()
  }

  close(): Promise<void> {
    this.#child.kill('SIGKILL')
    return Promise.resolve()
  }
}

const record = (sequence: number, text: string): string => `4,${sequence},${sequence}000,-;${text}`
const xid = (number: number): string => `NVRM: Xid (PCI:0000:1a:00): ${number}, words`
const opened: { close(): Promise<void> }[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()))
})

function listen(path: string, after?: number): { clock: ManualClock; telling: Telling } {
  const clock = new ManualClock()
  const telling = new Telling()
  const source = new KernelLog({
    clock,
    intervalMs: 10_000,
    path,
    boot: 'boot-1',
    processes: '/nonexistent',
    ...(after !== undefined && { after }),
  })
  opened.unshift(source)
  source.start(telling.tell)
  return { clock, telling }
}

describe.skipIf(missing !== null)('the device of the kernel’s log', () => {
  async function device(): Promise<Records> {
    const records = new Records()
    opened.push(records)
    await records.ready()
    return records
  }

  test('records of before are old stories; a new one is told by the kernel’s own number', async () => {
    const log = await device()
    await log.write(record(100, xid(31)), record(101, 'usb 1-1: new device'))
    const { clock, telling } = listen(log.path)
    await log.write(record(102, xid(79)), ' SUBSYSTEM=pci', ' DEVICE=+pci:0000:1a:00.0', 'garbage')
    await clock.pass(1_000)
    expect(telling.all).toEqual([
      {
        type: 'xid',
        device: 'pci:0000:1a:00',
        xid: 79,
        text: 'words',
        boot: 'boot-1',
        sequence: 102,
      },
    ])
    await clock.pass(5_000)
    expect(telling.all).toHaveLength(1)
  })

  test('with a cursor, what came while nobody listened is told, what was told is not', async () => {
    const log = await device()
    await log.write(record(100, xid(31)), record(101, xid(48)), record(102, xid(62)))
    const { clock, telling } = listen(log.path, 100)
    await clock.pass(1_000)
    expect(telling.of('xid').map(({ sequence }) => sequence)).toEqual([101, 102])
  })

  test('a device that falls off the bus in three records', async () => {
    const log = await device()
    const { clock, telling } = listen(log.path)
    await log.write(
      record(1, 'NVRM: The NVIDIA GPU 0000:1a:00.0'),
      record(2, 'NVRM: (PCI ID: 10de:2330) installed in this system has'),
      record(3, 'NVRM: fallen off the bus and is not responding to commands.'),
    )
    await clock.pass(1_000)
    expect(telling.of('lost')).toMatchObject([{ device: 'pci:0000:1a:00' }])
  })

  test('goes on for as long as records come', async () => {
    const log = await device()
    const { clock, telling } = listen(log.path)
    for (let round = 0; round < 5; round++) {
      const noise = Array.from({ length: 30 }, (_, i) => record(round * 40 + i, 'usb 1-1: noise'))
      await log.write(...noise, record(round * 40 + 39, xid(48)))
      await clock.pass(500)
    }
    expect(telling.of('xid').map(({ sequence }) => sequence)).toEqual([39, 79, 119, 159, 199])
    expect(telling.of('failed')).toEqual([])
  })
})

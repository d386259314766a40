/**
 * Binds the GPUs of this machine to the fleet: what telemetry reads becomes facts, orders about the node become commands of the
 * operator's choice, their ends become facts again. It judges nothing.
 */
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import {
  HealthError,
  LOCAL,
  takeEvidence,
  type Clock,
  type Command,
  type HealthEvent,
  type NodeEvidence,
} from '@health/core'
import {
  bootId,
  createCommandPort,
  createTelemetry,
  Remediation,
  type CommandLine,
  type CommandPortOptions,
  type DiagLevel,
  type GpuTelemetry,
  type NodeCommand,
  type TelemetryOptions,
} from '@health/gpu'
import type { Supervisor, Untimed } from '@health/supervisor'
import type { Config } from './config.ts'
import type { GpuConfig } from './config-gpu.ts'
import type { Log } from './gateway.ts'
import { nodeFact } from './gpu-fact.ts'

/** The bond, while it lasts. */
export interface GpuWatch {
  /** Tells the fleet what changed in the configuration. */
  configure(config: Config): void
  /** Ends telemetry, then waits at most `graceMs` for the command under way, and ends it: the next start gives its order again. */
  close(graceMs: number): Promise<void>
}

/**
 * Begins to watch. A named source is made before this resolves; `auto` goes on looking beside the start, which no machine without
 * a GPU should pay for. Rejects with HEALTH_POLICY_INVALID for a recording that cannot be read.
 */
export async function watchGpus(
  supervisor: Supervisor,
  config: Config,
  log: Log,
): Promise<GpuWatch> {
  const { clock, fleet } = supervisor
  const { gpu } = config
  if (gpu.source === 'replay' && gpu.replayFile !== null) await checkReadable(gpu.replayFile)
  let told = ''
  const configure = (now: Config): void => {
    const fact = nodeFact({ ...now, gpu }, knownBoot())
    const text = JSON.stringify(fact)
    if (text === told) return
    told = text
    supervisor.tell(fact)
  }
  configure(config)

  let closing = false
  const warn = (text: string): void => log({ level: 'warn', event: 'gpu.warning', text })
  const report = ({ at: _, seq: __, ...fact }: HealthEvent): void => {
    // The end of a command that we ended ourselves says nothing about the node.
    if (closing) return
    try {
      supervisor.tell(fact as Untimed)
    } catch (error) {
      warn(error instanceof Error ? error.message : String(error))
    }
  }

  const cut = new AbortController()
  const unwanted = new AbortController()
  const begun = gpu.source === 'auto' ? later(clock, unwanted.signal) : Promise.resolve()
  const telemetry = begun
    .then(() => look(gpu, supervisor, unwanted.signal, warn))
    .then(
      (found) => {
        if (unwanted.signal.aborted) return found
        sayChoice(log, gpu, found)
        sayNeed(config, found, warn)
        found.listen(report)
        return found
      },
      (error: unknown) => {
        if (gpu.source !== 'auto') throw error
        warn(`no source was chosen: ${error instanceof Error ? error.message : String(error)}`)
        return null
      },
    )
  if (gpu.source !== 'auto') await telemetry

  const remediation = new Remediation({
    clock,
    port: createCommandPort({
      clock,
      ...commandsOf(gpu),
      evidenceDir: join(config.dataDir, 'evidence'),
      owner: config.dataDir,
      signal: cut.signal,
      // Asked when a command begins: a person may change them at any time.
      get resetTimeoutSeconds() {
        return fleet.nodePolicy.nodeResetTimeoutMs / 1000
      },
      get rebootTimeoutSeconds() {
        return fleet.nodePolicy.nodeRebootTimeoutMs / 1000
      },
      get validateTimeoutSeconds() {
        return fleet.nodePolicy.nodeValidateTimeoutMs / 1000
      },
    }),
    report: (fact) => {
      if (!closing) sayEnd(log, fact)
      report(fact)
    },
    telemetry: {
      suspend: async () => (await telemetry)?.suspend(),
      resume: () => void telemetry.then((found) => found?.resume()),
    },
    warn,
  })
  const deaf = supervisor.onOrder((command) => {
    if (!isAboutNode(command)) return
    // An order of before a restart may have been answered meanwhile: a machine that was rebooted came back.
    if (answered.has(command.type) && !isOpen(supervisor, command.id)) return
    const { type, id, node, device } = command
    log({ level: 'info', event: 'node.order', order: type, id, node, ...(device && { device }) })
    remediation.perform(command, type === 'escalate' ? evidenceOf(supervisor, command) : null)
  })

  return {
    configure,
    async close(graceMs) {
      deaf()
      unwanted.abort()
      await telemetry.then(
        (found) => found?.close(),
        () => undefined,
      )
      const late = clock.after(graceMs, () => {
        closing = true
        cut.abort()
      })
      await remediation.close()
      late()
    },
  }
}

/** Orders that the core awaits an answer to. */
const answered: ReadonlySet<string> = new Set(['reset', 'reboot', 'validate'])
const orders: ReadonlySet<string> = new Set([
  ...answered,
  'cordon',
  'uncordon',
  'escalate',
  'retire',
])

const isAboutNode = (command: Command): command is NodeCommand => orders.has(command.type)

const isOpen = ({ fleet }: Supervisor, id: string): boolean =>
  fleet.nodes.openOrders().some((order) => order.id === id)

function evidenceOf({ fleet }: Supervisor, { id, node }: NodeCommand): NodeEvidence | null {
  const found = takeEvidence(fleet).find(({ command }) => command === id)
  return found?.evidence ?? fleet.nodes.evidence(node, fleet.now)
}

/** The boot id of this machine; nothing where there is none, since a made-up one would never change. */
function knownBoot(): string | undefined {
  const boot = bootId()
  return boot === 'no-boot-id' ? undefined : boot
}

/** `auto` asks four programs, and each costs the start more than its own share: it looks when the gateway serves, in ms. */
const LOOK_AFTER_MS = 500

function later(clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(LOOK_AFTER_MS, resolve)
    signal.addEventListener('abort', () => {
      cancel()
      resolve()
    })
  })
}

function look(
  gpu: GpuConfig,
  { clock, fleet }: Supervisor,
  signal: AbortSignal,
  warn: (text: string) => void,
): Promise<GpuTelemetry> {
  const options: TelemetryOptions = {
    clock,
    signal,
    node: LOCAL,
    source: gpu.source,
    intervalSeconds: gpu.intervalSeconds,
    // Behind what was told before: a restart acts on no Xid twice and misses none.
    kernelLog: { after: fleet.nodes.cursor(LOCAL, bootId()) },
    ...(gpu.dcgmUrl !== null && { dcgm: { url: gpu.dcgmUrl } }),
    ...(gpu.replayFile !== null && { replay: { file: gpu.replayFile, speed: gpu.replaySpeed } }),
    warn,
  }
  return createTelemetry(options)
}

/** What may be done to the node, as the operator configured it. */
function commandsOf(gpu: GpuConfig): Partial<CommandPortOptions> {
  const { resetCommand, rebootCommand, validateCommand, dcgmDiagCommand } = gpu
  const given = { resetCommand, rebootCommand, validateCommand }
  const commands = Object.entries(given).filter(
    (entry): entry is [string, CommandLine] => entry[1] !== null,
  )
  const level = gpu.dcgmDiagLevel === 0 ? null : (gpu.dcgmDiagLevel as DiagLevel)
  const command = dcgmDiagCommand as CommandLine | null
  return {
    ...Object.fromEntries(commands),
    ...(level !== null && { dcgmDiag: { level, ...(command !== null && { command }) } }),
  }
}

/** One line: what is used, and why not the others. */
function sayChoice(log: Log, { source }: GpuConfig, { names, looks }: GpuTelemetry): void {
  log({
    level: 'info',
    event: 'gpu.source',
    configured: source,
    used: names,
    looked: looks.map((each) => `${each.source}: ${each.why}`),
  })
}

/** Apps that need devices where nobody reports any would wait without end, and nobody would know why. */
function sayNeed({ apps }: Config, { names }: GpuTelemetry, warn: (text: string) => void): void {
  if (names.some((name) => name !== 'none' && name !== 'kernel-log')) return
  const needy = [...apps.values()].filter(({ options }) => (options.devices ?? 0) > 0)
  for (const { id } of needy.slice(0, 20))
    warn(`app ${id} needs devices, and no source reports any: its runners wait until one does`)
}

function sayEnd(log: Log, fact: HealthEvent): void {
  if (!('passed' in fact) || !('node' in fact)) return
  const { type, node, passed, detail } = fact
  log({ level: passed ? 'info' : 'warn', event: type, node, passed, detail })
}

async function checkReadable(file: string): Promise<void> {
  await access(file, constants.R_OK).catch((error: NodeJS.ErrnoException) => {
    throw new HealthError(
      'HEALTH_POLICY_INVALID',
      `gpu.replayFile is ${file}, which cannot be read (${error.code ?? error.message}); allowed is the file of a recording.`,
      'gpu.replayFile',
    )
  })
}

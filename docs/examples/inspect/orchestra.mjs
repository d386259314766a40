/** An orchestrator without processes: the core decides, and what a host and a prober would say is made up here. */
import { createFleet, nextDue, step } from '@health/core'
import { introduce, tellOf } from './frame.mjs'

const APP = 'example/answer'
const now = () => Math.round(performance.now())

/** Begins; `show` gets every frame. Answers how to break the runners that are there now, and how to end. */
export function begin(show) {
  const fleet = createFleet({}, { seed: 1 })
  const known = new Map()
  const broken = new Set()
  let timer
  let ended = false

  function tell(fact) {
    if (ended) return
    const event = { at: Math.max(now(), fleet.now), ...fact }
    const { commands, decisions } = step(fleet, event)
    const touched = new Set(
      decisions.filter(({ subject }) => subject.kind === 'runner').map(({ subject }) => subject.id),
    )
    if (fact.runner !== undefined) touched.add(fact.runner)
    for (const [id, runner] of fleet.runners) {
      if (known.has(id)) continue
      known.set(id, runner)
      show(introduce(runner))
    }
    for (const id of touched) {
      const rule = decisions.findLast(({ subject }) => subject.id === id)?.rule
      if (known.has(id)) tellOf(known.get(id), { ...fact, ...(rule && { rule }) }).forEach(show)
    }
    commands.forEach(carryOut)
    clearTimeout(timer)
    const due = nextDue(fleet)
    if (due < Infinity)
      timer = setTimeout(() => tell({ type: 'time.passed' }), Math.max(1, due - now()))
  }

  function carryOut(command) {
    const { type, runner, incarnation, probe, kind } = command
    const life = { runner, incarnation }
    const soon = (ms, fact) => setTimeout(() => tell(fact), ms)
    if (type === 'provision')
      soon(300, { type: 'process.started', ...life, pid: null, url: 'http://127.0.0.1:1' })
    else if (type === 'stop' || type === 'kill')
      soon(300, { type: 'process.exited', ...life, code: 0, signal: null })
    else if (type === 'probe' && kind === 'port')
      soon(300, { type: 'port.opened', ...life, latencyMs: 1 })
    else if (type === 'probe' && broken.has(runner))
      soon(20, {
        type: 'probe.failed',
        ...life,
        probe,
        kind,
        latencyMs: 1,
        why: 'status',
        status: 500,
      })
    else if (type === 'probe')
      soon(20, { type: 'probe.passed', ...life, probe, kind, latencyMs: 1 })
  }

  tell({
    type: 'app.configured',
    app: APP,
    options: {
      minConcurrency: 1,
      maxConcurrency: 2,
      startupTimeoutSeconds: 2,
      healthCheck: {
        path: '/health',
        startPeriodSeconds: 1,
        intervalSeconds: 1,
        failureThreshold: 3,
      },
    },
    policy: {},
    revision: '1',
  })
  return {
    /** Frames for somebody who comes late. */
    replay: () =>
      [...known.values()].filter(({ configuration }) => !configuration.final).map(introduce),
    breakAll: () => {
      for (const id of fleet.runners.keys()) broken.add(id)
    },
    // What is still on its way is told to nobody, so nothing is asked for again and the process can end.
    end: () => {
      ended = true
      clearTimeout(timer)
    },
  }
}

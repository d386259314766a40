/** The inspector's frames of one runner, from where the core's table says it stands. */
import { runnerMachine } from '@health/core'

const definition = JSON.stringify(runnerMachine.config)
const frame = (runner, type, more) => ({
  type,
  _version: '0.7.2',
  createdAt: String(Date.now()),
  id: null,
  rootId: runner.id,
  sessionId: runner.id,
  ...more,
})
const standOf = ({ configuration, context: { policy: _, ...context } }) => ({
  status: configuration.final ? 'done' : 'active',
  value: configuration.value,
  context,
  children: {},
  historyValue: {},
  tags: [],
})

/** Who it is, once. */
export const introduce = (runner) =>
  frame(runner, '@xstate.actor', { name: runner.id, definition, snapshot: standOf(runner) })

/** What happened to it, and where it stands now. */
export const tellOf = (runner, event) => [
  frame(runner, '@xstate.event', { event }),
  frame(runner, '@xstate.snapshot', { event, snapshot: standOf(runner) }),
]

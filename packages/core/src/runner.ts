/**
 * The life of one runner as a statechart: starting → serving (ready or suspect, beside its duty) → terminated → gone. It knows
 * verdicts, never a status code, never the fleet: it asks (`propose`, `ask`) and is answered in the same step. In flight is
 * read from events, never kept; idle and busy are words for a gauge, not states.
 */
import type { Reason } from './command.ts'
import { NONE, runnerVocabulary } from './runner-vocabulary.ts'

export type { Asked, RunnerContext, Verdict } from './runner-vocabulary.ts'

const end = <R extends Reason>(
  reason: R,
  rule: string,
  target: '#stopping' | '#killing' | '#gone' = '#stopping',
) => ({ target, actions: { type: 'because', params: { reason } }, meta: { rule } }) as const
/** The rule and the reason come with the event. */
const endAsTold = (target: '#stopping' | '#gone' = '#stopping') =>
  ({ target, actions: 'becauseGiven' }) as const

/** A regular failure that may count: in grace and too soon it is only recorded, and breaks the row of passes. */
const graceOrGap = [
  { guard: 'inGrace', actions: 'lapse', meta: { rule: 'health.grace', enforced: false } },
  { guard: 'tooSoon', actions: 'lapse', meta: { rule: 'health.suspect_probe' } },
] as const
const lastStrike = {
  guard: 'lastStrike',
  target: '#held',
  actions: ['strike', 'becauseSignal'],
  meta: { rule: 'health.threshold' },
} as const

/** The runner's chart. Feed it verdicts; carry out the named actions. Guards and limits are read from `context.policy`. */
export const runnerMachine = runnerVocabulary.createMachine({
  id: 'runner',
  version: '1',
  initial: 'starting',
  context: ({ input }) => ({
    policy: input.policy,
    startedAt: 0,
    opened: false,
    strikes: NONE,
    struckAt: 0,
    signal: 'probe',
    passes: 0,
    evidence: NONE,
    asked: null,
    reason: null,
    leaving: null,
  }),
  states: {
    starting: {
      initial: 'backoff',
      meta: { probe: 'none' },
      on: {
        'setup.failed': end('setup_failed', 'start.failed'),
        'process.exited': end('setup_failed', 'start.failed', '#gone'),
        'drain.ordered': endAsTold(),
        'order.kill': end('killed', 'order.kill', '#killing'),
        died: endAsTold(),
      },
      states: {
        backoff: {
          meta: { word: 'backoff' },
          on: {
            'start.granted': { target: 'provisioning', meta: { rule: 'start.granted' } },
            'drain.ordered': endAsTold('#gone'),
            'order.kill': end('killed', 'order.kill', '#gone'),
            died: endAsTold('#gone'),
          },
        },
        provisioning: {
          meta: { word: 'provisioning' },
          entry: 'provision',
          on: {
            'process.started': { target: 'setup', actions: 'born', meta: { rule: 'start.begun' } },
            'provision.refused': { target: 'backoff', meta: { rule: 'start.backoff' } },
          },
        },
        setup: {
          meta: { word: 'setup', probe: 'port' },
          after: { startup: end('startup_timeout', 'start.deadline') },
          on: {
            'port.opened': [
              {
                guard: 'needsFirstPass',
                target: 'setup',
                reenter: true,
                actions: 'open',
                meta: { rule: 'start.port' },
              },
              { target: '#serving', actions: 'open', meta: { rule: 'start.ready' } },
            ],
            'probe.passed': {
              guard: 'portOpen',
              target: '#serving',
              meta: { rule: 'start.ready' },
            },
            'probe.failed': { guard: 'portOpen', meta: { rule: 'health.grace', enforced: false } },
          },
        },
      },
    },
    serving: {
      id: 'serving',
      type: 'parallel',
      meta: { probe: 'regular' },
      on: {
        died: endAsTold(),
        'process.exited': end('crashed', 'outcome.crashed', '#gone'),
        'order.kill': end('killed', 'order.kill', '#killing'),
      },
      states: {
        // First: when one event enables both regions, the one written first wins.
        duty: {
          initial: 'open',
          states: {
            open: {
              on: {
                'drain.ordered': [
                  { guard: 'idle', ...endAsTold() },
                  { target: 'draining', actions: 'leave' },
                ],
                'check.due': [
                  {
                    guard: 'idle',
                    target: 'paused',
                    actions: 'examine',
                    meta: { rule: 'health.exclusive' },
                  },
                  { target: 'paused', meta: { rule: 'health.exclusive' } },
                ],
              },
            },
            paused: {
              meta: { word: '+paused' },
              after: { exclusiveWait: { target: 'open', meta: { rule: 'health.exclusive_wait' } } },
              on: {
                // Entered again: what is waited for from now on is the check itself.
                'work.left': { guard: 'idle', target: 'paused', reenter: true, actions: 'examine' },
                'check.passed': { guard: 'isExclusive', target: 'open' },
                'drain.ordered': [
                  { guard: 'idle', ...endAsTold() },
                  { target: 'draining', actions: 'leave' },
                ],
              },
            },
            draining: {
              meta: { word: '+draining' },
              after: {
                drain: {
                  target: '#stopping',
                  actions: 'becauseLeaving',
                  meta: { rule: 'order.drain' },
                },
              },
              on: {
                'work.left': {
                  guard: 'idle',
                  target: '#stopping',
                  actions: 'becauseLeaving',
                  meta: { rule: 'order.drain' },
                },
                'drain.ordered': [{ guard: 'idle', ...endAsTold() }, { actions: 'leave' }],
              },
            },
          },
        },
        health: {
          initial: 'ready',
          on: {
            'check.failed': [
              {
                guard: 'isTcpTimeout',
                target: '#held',
                actions: [
                  'cite',
                  'settled',
                  { type: 'because', params: { reason: 'tcp_check_failed' } },
                ],
                meta: { rule: 'outcome.tcp_check' },
              },
              { guard: 'isTcp', ...end('tcp_check_failed', 'outcome.tcp_check') },
              end('manual_health_check_failed', 'health.manual'),
            ],
            'doubt.proved': { target: '#held', actions: 'becauseGiven' },
          },
          states: {
            ready: {
              id: 'ready',
              meta: { word: 'ready' },
              on: {
                'check.asked': { target: 'suspect.verifying', actions: 'doubt' },
                'probe.failed': [
                  ...graceOrGap,
                  lastStrike,
                  { target: 'suspect.failing', actions: 'strike', meta: { rule: 'health.fail' } },
                ],
              },
            },
            suspect: {
              initial: 'failing',
              meta: { probe: 'fast' },
              states: {
                verifying: {
                  meta: { word: 'verifying', probe: 'regular' },
                  entry: 'ask',
                  on: {
                    // A pending check covers later doubts of the same or a weaker kind: no storm of checks.
                    'check.asked': [
                      { guard: 'covered', actions: 'cite' },
                      { actions: ['doubt', 'ask'] },
                    ],
                    'check.passed': [
                      {
                        guard: 'tcpRefutesStrikesStay',
                        target: 'failing',
                        actions: 'answered',
                        meta: { rule: 'outcome.tcp_check' },
                      },
                      {
                        guard: 'tcpRefutes',
                        target: '#ready',
                        actions: 'clear',
                        meta: { rule: 'outcome.tcp_check' },
                      },
                      {
                        guard: 'refutesStrikesStay',
                        target: 'failing',
                        actions: 'answered',
                        meta: { rule: 'health.manual' },
                      },
                      {
                        guard: 'refutes',
                        target: '#ready',
                        actions: 'clear',
                        meta: { rule: 'health.manual' },
                      },
                    ],
                    'work.served': [
                      {
                        guard: 'stalledStrikesStay',
                        target: 'failing',
                        actions: 'answered',
                        meta: { rule: 'health.progress' },
                      },
                      {
                        guard: 'stalled',
                        target: '#ready',
                        actions: 'clear',
                        meta: { rule: 'health.progress' },
                      },
                    ],
                    'probe.passed': [
                      { guard: 'provenWell', actions: 'absolve' },
                      { actions: 'pass' },
                    ],
                    'checks.ended': { actions: 'absolve' },
                    'probe.failed': [
                      ...graceOrGap,
                      lastStrike,
                      { actions: 'strike', meta: { rule: 'health.fail' } },
                    ],
                  },
                },
                failing: {
                  meta: { word: 'failing' },
                  on: {
                    'check.asked': { target: 'verifying', actions: 'doubt' },
                    'probe.passed': [
                      {
                        guard: 'provenWell',
                        target: '#ready',
                        actions: 'clear',
                        meta: { rule: 'health.recover' },
                      },
                      { actions: 'pass', meta: { rule: 'health.pass' } },
                    ],
                    'checks.ended': {
                      target: '#ready',
                      actions: 'clear',
                      meta: { rule: 'health.ended' },
                    },
                    'probe.failed': [
                      ...graceOrGap,
                      lastStrike,
                      { actions: 'strike', meta: { rule: 'health.fail' } },
                    ],
                  },
                },
                held: {
                  id: 'held',
                  meta: { word: 'held' },
                  entry: 'propose',
                  on: {
                    'termination.granted': { target: '#stopping' },
                    'termination.withheld': [
                      { guard: 'voidStrikesStay', target: 'failing', actions: 'answered' },
                      { guard: 'evidenceVoid', target: '#ready', actions: 'clear' },
                      {},
                    ],
                    'check.asked': [
                      { guard: 'covered', actions: 'cite' },
                      { actions: ['doubt', 'ask'] },
                    ],
                    'check.passed': [
                      {
                        guard: 'acquitsStrikesStay',
                        target: 'failing',
                        actions: 'answered',
                        meta: { rule: 'outcome.tcp_check' },
                      },
                      {
                        guard: 'acquits',
                        target: '#ready',
                        actions: 'clear',
                        meta: { rule: 'outcome.tcp_check' },
                      },
                      { guard: 'refutes', actions: 'answered' },
                    ],
                    'probe.passed': [
                      {
                        guard: 'provenWell',
                        target: '#ready',
                        actions: 'clear',
                        meta: { rule: 'health.recover' },
                      },
                      { actions: 'pass', meta: { rule: 'health.pass' } },
                    ],
                    'checks.ended': [
                      {
                        guard: 'heldByStrikes',
                        target: '#ready',
                        actions: 'clear',
                        meta: { rule: 'health.ended' },
                      },
                      { actions: 'absolve' },
                    ],
                    'probe.failed': [
                      ...graceOrGap,
                      { actions: 'strike', meta: { rule: 'health.fail' } },
                    ],
                  },
                },
              },
            },
          },
        },
      },
    },
    terminated: {
      initial: 'stopping',
      meta: { probe: 'none' },
      on: {
        'process.exited': { target: '#gone', meta: { rule: 'stop.exited' } },
        'provision.refused': { target: '#gone', meta: { rule: 'stop.exited' } },
      },
      states: {
        stopping: {
          id: 'stopping',
          meta: { word: 'stopping' },
          entry: 'stop',
          after: { grace: { target: 'killing', meta: { rule: 'stop.grace' } } },
          on: { 'order.kill': { target: 'killing', meta: { rule: 'order.kill' } } },
        },
        killing: { id: 'killing', meta: { word: 'killing' }, entry: 'kill' },
      },
    },
    // At the top: a final child of `terminated` would never complete the machine.
    gone: { id: 'gone', type: 'final', meta: { word: 'gone', probe: 'none' }, entry: 'retire' },
  },
})

/**
 * The node's chart: in service, out of it, and the ways back. It knows verdicts, never readings: which remedy comes next is
 * chosen in `node-ladder.ts`, whether a rule may take a node at all in `node-breaker.ts`; it never acts, its named actions are
 * orders for others.
 *
 * ```text
 * healthy ⇄ suspect ──▶ cordoned ──▶ draining ──▶ resetting ──▶ validating ──▶ healthy
 *                                       │  ▲          │            ▲   │
 *                                       │  └──────────┤            │   └──▶ the next rung
 *                                       │             ▼            │
 *                                       ├───────▶ rebooting ───────┤
 *                                       ▼             ▼            │
 *                                     escalated ◀─────┘ ── uncordon┘──▶ retired
 * ```
 */
import { assign, setup } from 'xstate'
import type { NodePolicy } from './node-policy.ts'

/** The words of `GET /v1/nodes`. */
export const nodeStates = [
  'healthy',
  'suspect',
  'cordoned',
  'draining',
  'resetting',
  'rebooting',
  'validating',
  'escalated',
  'retired',
] as const
/** One of {@link nodeStates}. */
export type NodeState = (typeof nodeStates)[number]

/** What is done next with a node out of service, from the mildest to the last. `keep`: cordoned, as it was; `hold`: empty. */
export type Remedy = 'keep' | 'hold' | 'wait' | 'check' | 'reset' | 'reboot' | 'escalate'

/** What the chart reads and remembers; everything else of a node is kept beside it. */
export interface NodeContext {
  /** Shared by all nodes; replaced when it changes. */
  readonly policy: NodePolicy
  /** The rule or the person that took the node out of service; null while it is in service. */
  readonly cordonedBy: string | null
  /** True while a person wants it out of service: it is not uncordoned by rule. */
  readonly held: boolean
  /** Device that the remedy is for; null: the whole node. */
  readonly device: string | null
}

/** Verdicts about a node, all made inside one step. */
export type NodeVerdict = { readonly at: number } & (
  | { readonly type: 'doubt.raised' | 'doubt.cleared' }
  | { readonly type: 'cordon.granted'; readonly by: string; readonly held: boolean }
  | { readonly type: 'drain.granted' }
  | {
      /** `clear`: no runner is left where the remedy works. */
      readonly type: 'remedy.chosen'
      readonly remedy: Remedy
      readonly clear: boolean
      readonly device: string | null
    }
  /** All that a healthy node shows is shown, or no longer is. */
  | { readonly type: 'proof.complete' | 'proof.broken' }
  /** `sound`: no fault is open. */
  | { readonly type: 'uncordon.ordered'; readonly sound: boolean }
  | { readonly type: 'escalation.ordered' | 'retirement.ordered' }
)

type Of<T extends NodeVerdict['type']> = Extract<NodeVerdict, { type: T }>
type Chosen = Of<'remedy.chosen'>

interface Meta {
  readonly word?: string
  readonly state?: NodeState
  readonly rule?: string
}

/** An order: named here, carried out elsewhere. */
const order = (): void => {}
const deviceOrder = (_: unknown, _params: { readonly device: string | null }): void => {}
const aimed = ({ context }: { readonly context: NodeContext }): { device: string | null } => ({
  device: context.device,
})

const chart = setup({
  types: {
    context: {} as NodeContext,
    events: {} as NodeVerdict,
    input: {} as { readonly policy: NodePolicy },
    meta: {} as Meta,
  },
  actions: {
    cordon: order,
    uncordon: order,
    reset: deviceOrder,
    reboot: order,
    validate: deviceOrder,
    escalate: deviceOrder,
    retire: order,
    blame: assign({
      cordonedBy: ({ event }) => (event as Of<'cordon.granted'>).by,
      held: ({ event }) => (event as Of<'cordon.granted'>).held,
    }),
    aim: assign({ device: ({ event }) => (event as Chosen).device }),
    absolve: assign({ cordonedBy: null, held: false, device: null }),
    letGo: assign({ held: false }),
  },
  guards: {
    occupied: ({ event }) => !(event as Chosen).clear && (event as Chosen).remedy !== 'escalate',
    remedyIs: ({ event }, { is }: { readonly is: Remedy }) => (event as Chosen).remedy === is,
    sound: ({ event }) => (event as Of<'uncordon.ordered'>).sound,
    held: ({ context }) => context.held,
  },
  delays: {
    /** Runners get `drainTimeoutSeconds` and are stopped then; twice that time means that one of them cannot end. */
    drain: ({ context }) => 2 * context.policy.drainTimeoutMs + 60_000,
    wait: ({ context }) => context.policy.throttleHwWaitMs,
    /** Whoever carries out the order ends it at the limit; a little later we stop waiting for an answer. */
    reset: ({ context }) => context.policy.nodeResetTimeoutMs + 30_000,
    reboot: ({ context }) => context.policy.nodeRebootTimeoutMs + 30_000,
    validate: ({ context }) => context.policy.nodeValidateTimeoutMs + 30_000,
    healthy: ({ context }) => context.policy.healthyDelayMs,
  },
})

const escalate = {
  guard: { type: 'remedyIs', params: { is: 'escalate' } },
  target: '#escalated',
  actions: 'aim',
  meta: { rule: 'node.escalate' },
} as const
const reset = {
  guard: { type: 'remedyIs', params: { is: 'reset' } },
  target: '#resetting',
  actions: 'aim',
  reenter: true,
  meta: { rule: 'node.reset' },
} as const
const reboot = {
  guard: { type: 'remedyIs', params: { is: 'reboot' } },
  target: '#rebooting',
  actions: 'aim',
  reenter: true,
  meta: { rule: 'node.reboot' },
} as const
const check = {
  guard: { type: 'remedyIs', params: { is: 'check' } },
  target: '#validating',
  actions: 'aim',
  reenter: true,
  meta: { rule: 'node.validate' },
} as const
const wait = {
  guard: { type: 'remedyIs', params: { is: 'wait' } },
  target: '#waiting',
  meta: { rule: 'node.drain' },
} as const
const park = {
  guard: { type: 'remedyIs', params: { is: 'hold' } },
  target: '#parked',
  meta: { rule: 'node.drain' },
} as const
/** Nothing is left to do but what a person or a rule cordoned it for; whoever is on it stays. */
const keep = {
  guard: { type: 'remedyIs', params: { is: 'keep' } },
  target: '#cordoned',
  meta: { rule: 'node.cordon' },
} as const
/** What is done about a node that nobody is on. */
const onceEmpty = [reset, reboot, check, wait, park, keep] as const
/** From where runners were already sent away; a wider remedy sends more of them away first. */
const climb = [
  escalate,
  { guard: 'occupied', target: '#leaving', meta: { rule: 'node.drain' } },
  ...onceEmpty,
] as const
const tookTooLong = { target: '#escalated', meta: { rule: 'node.escalate' } } as const

/** The node's chart. Feed it verdicts; carry out the named actions. */
export const nodeMachine = chart.createMachine({
  id: 'node',
  version: '1',
  initial: 'healthy',
  context: ({ input }) => ({ policy: input.policy, cordonedBy: null, held: false, device: null }),
  on: {
    'escalation.ordered': { target: '#escalated', meta: { rule: 'order.escalate' } },
    'retirement.ordered': { target: '#retired', meta: { rule: 'order.retire' } },
  },
  states: {
    healthy: {
      id: 'healthy',
      meta: { word: 'healthy', state: 'healthy' },
      on: {
        'doubt.raised': { target: 'suspect', meta: { rule: 'node.doubt' } },
        'cordon.granted': {
          target: 'cordoned',
          actions: ['blame', 'cordon'],
          meta: { rule: 'node.cordon' },
        },
      },
    },
    // Something is wrong that takes nothing out of service: a level that only alerts, a fault that waits or was withheld.
    suspect: {
      meta: { word: 'suspect', state: 'suspect' },
      on: {
        'doubt.cleared': { target: 'healthy', meta: { rule: 'node.doubt' } },
        'cordon.granted': {
          target: 'cordoned',
          actions: ['blame', 'cordon'],
          meta: { rule: 'node.cordon' },
        },
      },
    },
    cordoned: {
      id: 'cordoned',
      meta: { word: 'cordoned', state: 'cordoned' },
      on: {
        'drain.granted': { target: '#leaving', meta: { rule: 'node.drain' } },
        'cordon.granted': { actions: 'blame' },
        'uncordon.ordered': [
          {
            guard: 'sound',
            target: 'healthy',
            actions: ['absolve', 'uncordon'],
            meta: { rule: 'order.uncordon' },
          },
          { target: '#validating', actions: 'letGo', meta: { rule: 'order.uncordon' } },
        ],
      },
    },
    draining: {
      initial: 'leaving',
      meta: { state: 'draining' },
      on: {
        'cordon.granted': { actions: 'blame' },
        'uncordon.ordered': [
          {
            guard: 'sound',
            target: 'healthy',
            actions: ['absolve', 'uncordon'],
            meta: { rule: 'order.uncordon' },
          },
          { target: '#validating', actions: 'letGo', meta: { rule: 'order.uncordon' } },
        ],
      },
      states: {
        leaving: {
          id: 'leaving',
          meta: { word: 'draining' },
          after: { drain: tookTooLong },
          on: {
            'remedy.chosen': [escalate, { guard: 'occupied' }, ...onceEmpty],
          },
        },
        // Empty; the level may fall by itself, and no reset would help it.
        waiting: {
          id: 'waiting',
          meta: { word: 'waiting' },
          after: { wait: tookTooLong },
          on: {
            'drain.granted': 'leaving',
            'remedy.chosen': [
              escalate,
              { guard: 'occupied', target: '#leaving' },
              reset,
              reboot,
              check,
              keep,
            ],
          },
        },
        // Empty, because a person wanted it so; it stays until a person says otherwise.
        parked: {
          id: 'parked',
          meta: { word: 'parked' },
          on: { 'drain.granted': 'leaving', 'remedy.chosen': climb },
        },
      },
    },
    resetting: {
      id: 'resetting',
      meta: { word: 'resetting', state: 'resetting' },
      entry: { type: 'reset', params: aimed },
      // No answer: the next remedy is chosen from there.
      after: { reset: { target: '#leaving', meta: { rule: 'node.reset' } } },
      on: { 'remedy.chosen': climb, 'cordon.granted': { actions: 'blame' } },
    },
    rebooting: {
      id: 'rebooting',
      meta: { word: 'rebooting', state: 'rebooting' },
      entry: 'reboot',
      after: { reboot: tookTooLong },
      on: { 'remedy.chosen': climb, 'cordon.granted': { actions: 'blame' } },
    },
    validating: {
      id: 'validating',
      initial: 'checking',
      meta: { state: 'validating' },
      entry: { type: 'validate', params: aimed },
      on: {
        'remedy.chosen': climb,
        'cordon.granted': { actions: 'blame' },
        'uncordon.ordered': { actions: 'letGo' },
      },
      states: {
        checking: {
          meta: { word: 'validating' },
          after: { validate: { target: '#leaving', meta: { rule: 'node.validate' } } },
          on: { 'proof.complete': 'proving' },
        },
        proving: {
          meta: { word: 'proving' },
          after: {
            healthy: [
              { guard: 'held', target: '#cordoned', meta: { rule: 'node.validate' } },
              {
                target: '#healthy',
                actions: ['absolve', 'uncordon'],
                meta: { rule: 'node.uncordon' },
              },
            ],
          },
          on: { 'proof.broken': 'checking' },
        },
      },
    },
    // Handed to a person, cordoned; only a person leads out of it.
    escalated: {
      id: 'escalated',
      meta: { word: 'escalated', state: 'escalated' },
      entry: { type: 'escalate', params: aimed },
      on: {
        'escalation.ordered': {},
        'uncordon.ordered': {
          target: '#validating',
          actions: 'letGo',
          meta: { rule: 'order.uncordon' },
        },
      },
    },
    // Handed over for replacement. A machine of the same name may come back by an order, and must prove itself.
    retired: {
      id: 'retired',
      meta: { word: 'retired', state: 'retired' },
      entry: 'retire',
      on: {
        'escalation.ordered': {},
        'retirement.ordered': {},
        'uncordon.ordered': {
          target: '#validating',
          actions: 'letGo',
          meta: { rule: 'order.uncordon' },
        },
      },
    },
  },
})

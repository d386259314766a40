/**
 * The configurations of one machine as they are discovered: each gets a dense index and a word. It refuses configurations that one word
 * or one deadline cannot describe; it never decides what is reachable.
 */
import type { AnyStateNode, StateValue } from 'xstate'
import { HealthError } from './error.ts'
import { refusal } from './refusal.ts'
import { childrenOf } from './state-tree.ts'
import type { Configuration, Expired } from './table.ts'

/** Configurations end here; a runner has about twenty. */
const CONFIGURATION_LIMIT = 4_096

/** All configurations found so far. Throws HEALTH_COMPILE for one that a table cannot have, or when there are more than 4,096. */
export class Places {
  /** In the order of discovery. */
  readonly all: Configuration[] = []
  readonly #nodes: (readonly AnyStateNode[])[] = []
  readonly #byNodes = new Map<string, Configuration>()
  readonly #byWord = new Map<string, Configuration>()

  /** The configuration in which exactly these states are active; a new one when it was never seen. */
  at(nodes: readonly AnyStateNode[], final: boolean): Configuration {
    const key = keyOf(nodes)
    return this.#byNodes.get(key) ?? this.#add(key, nodes.toSorted(byOrder), final)
  }

  /** The same, when it must have been seen. Throws HEALTH_COMPILE when xstate led somewhere that the survey had not found. */
  known(nodes: readonly AnyStateNode[]): Configuration {
    const configuration = this.#byNodes.get(keyOf(nodes))
    if (configuration !== undefined) return configuration
    throw refusal(
      'a surprise',
      JSON.stringify(valueOf(nodes[0]!.machine.root, new Set(nodes))),
      'report it with the machine.',
    )
  }

  /** Its active states, in document order. */
  nodesOf(configuration: Configuration): readonly AnyStateNode[] {
    return this.#nodes[configuration.index]!
  }

  /** The configuration of this word. Throws HEALTH_SNAPSHOT_FORMAT when there is none. */
  find(word: string): Configuration {
    const configuration = this.#byWord.get(word)
    if (configuration !== undefined) return configuration
    throw new HealthError(
      'HEALTH_SNAPSHOT_FORMAT',
      `The state '${word}' does not exist in this version. Start the version that wrote it.`,
    )
  }

  #add(key: string, nodes: readonly AnyStateNode[], final: boolean): Configuration {
    const word = wordOf(nodes)
    const value = valueOf(nodes[0]!, new Set(nodes))
    const shown = JSON.stringify(value)
    if (!nodes.some((node) => plain(node) !== undefined)) {
      throw refusal('a leaf without a word', shown, 'write meta: { word } on it.')
    }
    const other = this.#byWord.get(word)
    if (other !== undefined) {
      throw refusal(
        `the word '${word}'`,
        shown,
        `${JSON.stringify(other.value)} has it too; give them different words.`,
      )
    }
    const delays = nodes.flatMap((node) =>
      Object.keys(node.config.after ?? {}).map((delay) => eventOf(delay, node)),
    )
    if (delays.length > 1) {
      throw refusal(
        `more than one after (${delays.join(', ')})`,
        word,
        'a configuration has at most one deadline.',
      )
    }
    if (this.all.length === CONFIGURATION_LIMIT) {
      throw refusal('more than 4096 configurations', word, 'make it two machines.')
    }
    const configuration: Configuration = Object.freeze({
      index: this.all.length,
      word,
      value,
      states: new Set(nodes.slice(1).map((node) => node.key)),
      meta: Object.freeze(metaOf(nodes)),
      after: delays[0] ?? null,
      final,
    })
    this.all.push(configuration)
    this.#nodes.push(nodes)
    this.#byNodes.set(key, configuration)
    this.#byWord.set(word, configuration)
    return configuration
  }
}

function byOrder(a: AnyStateNode, b: AnyStateNode): number {
  return a.order - b.order
}

/** The same for the same states of any copy of the machine. */
function keyOf(nodes: readonly AnyStateNode[]): string {
  return nodes
    .map((node) => node.order)
    .toSorted((a, b) => a - b)
    .join()
}

function eventOf(delay: string, node: AnyStateNode): Expired['type'] {
  return `xstate.after.${Number.isNaN(Number(delay)) ? delay : Number(delay)}.${node.id}`
}

function wordOf(nodes: readonly AnyStateNode[]): string {
  const words = nodes.map(said).filter((word) => word !== undefined)
  const added = words.filter((word) => word.startsWith('+'))
  return words.filter((word) => !word.startsWith('+')).join('.') + added.join('')
}

function said(node: AnyStateNode): string | undefined {
  const word: unknown = node.meta?.word
  return typeof word === 'string' ? word : undefined
}

function plain(node: AnyStateNode): string | undefined {
  const word = said(node)
  return word?.startsWith('+') === true ? undefined : word
}

/** Deeper states win; of equally deep ones the later region. */
function metaOf(nodes: readonly AnyStateNode[]): Record<string, unknown> {
  const outerFirst = nodes.toSorted((a, b) => a.path.length - b.path.length)
  return Object.assign({}, ...outerFirst.map((node) => node.meta ?? {}))
}

function valueOf(node: AnyStateNode, active: ReadonlySet<AnyStateNode>): StateValue {
  const children = childrenOf(node).filter((child) => active.has(child))
  const [only] = children
  if (node.type === 'compound' && only !== undefined && childrenOf(only).length === 0)
    return only.key
  return Object.fromEntries(children.map((child) => [child.key, valueOf(child, active)]))
}

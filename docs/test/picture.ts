/** A machine as a Mermaid drawing, made from its definition. It leaves out nothing that has a target. */
import type { AnyStateMachine } from 'xstate'

interface Config {
  readonly id?: string
  readonly type?: string
  readonly initial?: string
  readonly on?: Readonly<Record<string, unknown>>
  readonly after?: Readonly<Record<string, unknown>>
  readonly states?: Readonly<Record<string, Config>>
}
interface Transition {
  readonly target?: string
  readonly guard?: string | { readonly type: string; readonly params?: object }
  readonly meta?: { readonly rule?: string }
}

const list = (value: unknown): readonly Transition[] =>
  (Array.isArray(value) ? value : [value]).map((each) =>
    typeof each === 'string' ? { target: each } : ((each ?? {}) as Transition),
  )

/** A guard with its parameters: `remedyIs reset`. */
const condition = (guard: NonNullable<Transition['guard']>): string =>
  typeof guard === 'string'
    ? guard
    : [guard.type, ...Object.values(guard.params ?? {}).map(String)].join(' ')

/** A fenced Mermaid state diagram. */
export function picture(machine: AnyStateMachine): string {
  const root = machine.config as Config
  const ids = new Map<string, string>()
  const name = (path: readonly string[]): string => path.join('_')
  const collect = (config: Config, path: readonly string[]): void => {
    if (config.id !== undefined && path.length > 0) ids.set(config.id, name(path))
    for (const [key, child] of Object.entries(config.states ?? {})) collect(child, [...path, key])
  }
  collect(root, [])
  const lines = ['```mermaid', 'stateDiagram-v2']
  const arrows: string[] = []
  const resolve = (target: string, path: readonly string[]): string => {
    if (target.startsWith('#')) return ids.get(target.slice(1)) ?? target.slice(1)
    if (target.startsWith('.')) return name([...path, ...target.slice(1).split('.')])
    return name([...path.slice(0, -1), ...target.split('.')])
  }
  const draw = (config: Config, path: readonly string[], indent: string): void => {
    const children = Object.entries(config.states ?? {})
    if (path.length > 0 && children.length > 0) lines.push(`${indent}state ${name(path)} {`)
    const inner = path.length > 0 && children.length > 0 ? `${indent}  ` : indent
    if (config.initial !== undefined)
      lines.push(`${inner}[*] --> ${name([...path, config.initial])}`)
    children.forEach(([key, child], i) => {
      if (config.type === 'parallel' && i > 0) lines.push(`${inner}--`)
      if (Object.keys(child.states ?? {}).length === 0)
        lines.push(`${inner}${name([...path, key])}: ${key}`)
      draw(child, [...path, key], inner)
    })
    if (path.length > 0 && children.length > 0) lines.push(`${indent}}`)
    const each = (event: string, value: unknown): void => {
      for (const { target, guard, meta } of list(value)) {
        if (target === undefined) continue
        const label = [
          event,
          guard === undefined ? '' : `[${condition(guard)}]`,
          meta?.rule === undefined ? '' : `/ ${meta.rule}`,
        ]
          .filter((part) => part !== '')
          .join(' ')
        arrows.push(
          `  ${path.length === 0 ? '[*]' : name(path)} --> ${resolve(target, path)}: ${label}`,
        )
      }
    }
    for (const [event, value] of Object.entries(config.on ?? {})) each(event, value)
    for (const [delay, value] of Object.entries(config.after ?? {})) each(`after ${delay}`, value)
  }
  draw(root, [], '  ')
  return [...lines, ...arrows, '```'].join('\n')
}

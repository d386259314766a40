/**
 * One number of the policy as something that can be turned: its range, and its values one step apart in its own unit (a millisecond,
 * a whole number, a degree). It knows no decision and no journal.
 */
import { appOptions } from './app-option.ts'
import { healthCheckOptions } from './health-check-option.ts'
import { nodeTunables } from './node-policy.ts'
import type { OptionSpec } from './option.ts'
import { tunables } from './tunable.ts'

/** An option that is a number. */
export type NumberSpec = Extract<OptionSpec, { readonly min: number }>

const specs: Readonly<Record<string, OptionSpec>> = {
  ...healthCheckOptions,
  ...appOptions,
  ...tunables,
  ...nodeTunables,
}

const budget: NumberSpec = { kind: 'integer', default: null, min: 0, max: 10, reason: '' }
const BUDGET = /^retryConfig\.(\w+)\.retries$/

/** The condition whose budget of retries an option is; null for any other option. */
export const budgetOf = (option: string): string | null => BUDGET.exec(option)?.[1] ?? null

/** What an option allows, by its name in the configuration; null when it is no number. */
export function numberSpec(option: string): NumberSpec | null {
  if (budgetOf(option) !== null) return budget
  const spec = Object.hasOwn(specs, option) ? specs[option] : undefined
  return spec !== undefined && 'min' in spec ? spec : null
}

/** Units of a resolved policy in one of the option's own: 1000 ms in a second. */
export const scaleOf = (option: string): number => (option.endsWith('Seconds') ? 1000 : 1)

/** Values of an option from one of them on, one step apart, as far as its range goes. */
export interface Walk {
  /** How many steps there are. */
  readonly steps: number
  /** The value after `n` steps, in the option's own unit. */
  readonly value: (n: number) => number
  /** Steps to the first value that is not on the near side of `limit`; `past`: nor `limit` itself. */
  readonly stepsTo: (limit: number, past: boolean) => number
}

/** Walks an option away from `from`, up or down. A step is a millisecond for times and 1 for all else. */
export function walk(option: string, from: number, up: boolean): Walk {
  const spec = numberSpec(option)
  const unit = scaleOf(option)
  const sign = up ? 1 : -1
  // Thousandths are exact only as whole numbers of them.
  const scaled = (value: number): number => Math.round(value * unit * 1e6) / 1e6
  const whole = (value: number): number => sign * Math.floor(sign * scaled(value))
  const base = whole(from)
  const last = up
    ? Math.floor((spec?.max ?? 1e9) * unit)
    : Math.ceil((spec?.min ?? 0) * unit) + (spec?.above === true ? 1 : 0)
  return {
    steps: spec === null ? 0 : Math.max(0, sign * (last - base)),
    value: (n) => (base + sign * n) / unit,
    stepsTo: (limit, past) => {
      const far = sign * (scaled(limit) - base)
      return Math.max(1, past ? Math.floor(far) + 1 : Math.ceil(far))
    },
  }
}

/** Facts as adapters tell them: without a time and a number, which only the loop gives. */
import type { HealthEvent } from '@health/core'

type Untime<E> = E extends HealthEvent ? Omit<E, 'at' | 'seq'> : never

/** A fact without `at` and `seq`. */
export type Untimed = Untime<HealthEvent>

/** What one client wants: a set of topics, each for all apps or for some. What belongs to no app passes every list of apps. */
import { topics } from './topic.ts'

/** A client's filter. Nothing at first. */
export class Filter {
  /** One bit for each topic wanted. */
  mask = 0
  /** By topic number; null while no topic is limited to some apps, so that a plain client costs one number. */
  #apps: (ReadonlySet<string> | null)[] | null = null

  /** Wants these topics now for exactly these apps (null: all). */
  add(numbers: readonly number[], apps: ReadonlySet<string> | null): void {
    for (const number of numbers) this.mask |= 1 << number
    if (apps === null && this.#apps === null) return
    this.#apps ??= topics.map(() => null)
    for (const number of numbers) this.#apps[number] = apps
    if (this.#apps.every((list) => list === null)) this.#apps = null
  }

  /** No longer wants these topics; with `apps`, only no longer for those. False when a topic is wanted for all apps: that cannot lose one. */
  remove(numbers: readonly number[], apps: ReadonlySet<string> | null): boolean {
    const wanted = numbers.filter((number) => this.has(number))
    if (apps === null) {
      for (const number of wanted) this.#drop(number)
      return true
    }
    if (wanted.some((number) => this.appsOf(number) === null)) return false
    for (const number of wanted) {
      const left = new Set([...this.appsOf(number)!].filter((app) => !apps.has(app)))
      if (left.size === 0) this.#drop(number)
      else this.#apps![number] = left
    }
    return true
  }

  has(number: number): boolean {
    return (this.mask & (1 << number)) !== 0
  }

  /** The apps wanted of a topic; null: all. */
  appsOf(number: number): ReadonlySet<string> | null {
    return this.#apps?.[number] ?? null
  }

  /** Whether an event passes. */
  takes(number: number, app: string | null): boolean {
    if ((this.mask & (1 << number)) === 0) return false
    if (app === null || this.#apps === null) return true
    const apps = this.#apps[number]!
    return apps === null || apps.has(app)
  }

  /** Numbers of the topics wanted. */
  get topics(): readonly number[] {
    return topics.flatMap((_, number) => (this.has(number) ? [number] : []))
  }

  /** True when no topic is limited to some apps: `mask` then says it all. */
  get plain(): boolean {
    return this.#apps === null
  }

  #drop(number: number): void {
    this.mask &= ~(1 << number)
    if (this.#apps !== null) this.#apps[number] = null
  }
}

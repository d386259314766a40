/** A histogram as Prometheus reads it: fixed bounds, so that every gateway's can be added up. It knows no label by name. */

/** Upper bounds of the duration histograms, in seconds. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600]

/** Counts durations, in seconds. */
export class Histogram {
  readonly #counts = new Float64Array(BOUNDS.length + 1)
  #sum = 0
  #count = 0

  add(seconds: number): void {
    let i = 0
    while (i < BOUNDS.length && seconds > BOUNDS[i]!) i++
    this.#counts[i]! += 1
    this.#sum += seconds
    this.#count++
  }

  write(out: string[], name: string, labels: string): void {
    let below = 0
    BOUNDS.forEach((bound, i) => {
      below += this.#counts[i]!
      out.push(`${name}_bucket{${labels},le="${bound}"} ${below}`)
    })
    out.push(
      `${name}_bucket{${labels},le="+Inf"} ${this.#count}`,
      `${name}_sum{${labels}} ${this.#sum}`,
      `${name}_count{${labels}} ${this.#count}`,
    )
  }
}

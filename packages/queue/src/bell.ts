/** Tells whoever dispatches that something can be leased, once per turn and app however often it is rung. It decides nothing. */
export class Bell {
  readonly #rung = new Set<string>()
  #ready: (app: string) => void = () => {}

  /** One listener: the last one. */
  listen(ready: (app: string) => void): void {
    this.#ready = ready
  }

  ring(app: string): void {
    if (this.#rung.size === 0) {
      queueMicrotask(() => {
        const rung = [...this.#rung]
        this.#rung.clear()
        for (const name of rung) this.#ready(name)
      })
    }
    this.#rung.add(app)
  }
}

/** Waits for what a source tells: by event, never by sleeping. */
import type { Sighting, Tell } from '../src/source.ts'

type Kind = Sighting['type']
type Of<K extends Kind> = Extract<Sighting, { type: K }>

/** Collects sightings; a test awaits the next one that it needs. */
export class Telling {
  readonly all: Sighting[] = []
  #waiting: (() => void)[] = []
  readonly tell: Tell = (sighting) => {
    this.all.push(sighting)
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** The first sighting of a kind at or behind a place, when it comes. */
  async next<K extends Kind>(
    kind: K,
    fits: (sighting: Of<K>) => boolean = () => true,
    from = 0,
  ): Promise<Of<K>> {
    for (let place = from; ; place++) {
      while (place >= this.all.length)
        await new Promise<void>((resolve) => this.#waiting.push(resolve))
      const sighting = this.all[place]!
      if (sighting.type === kind && fits(sighting as Of<K>)) return sighting as Of<K>
    }
  }

  /** The same, counting only what comes from now on. */
  later<K extends Kind>(kind: K, fits?: (sighting: Of<K>) => boolean): Promise<Of<K>> {
    return this.next(kind, fits, this.all.length)
  }

  of<K extends Kind>(kind: K): Of<K>[] {
    return this.all.filter((sighting): sighting is Of<K> => sighting.type === kind)
  }
}

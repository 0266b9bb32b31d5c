import type { RestartPoint } from './codec.ts'

const maximumPoints = 16 * 1024

/** Restart points in ascending order; of too many, every other one is kept. Memory is 256 KiB. */
export class RestartPoints {
  #points: RestartPoint[] = []
  /** Plain bytes between two points at least. */
  #spacing = 0

  add(point: RestartPoint): void {
    if (point.plain - (this.#points.at(-1)?.plain ?? 0) <= this.#spacing) return
    this.#points.push(point)
    if (this.#points.length < maximumPoints) return
    this.#points = this.#points.filter((_, index) => index % 2 === 1)
    this.#spacing = Math.max(
      1,
      this.#spacing * 2,
      (this.#points[1]?.plain ?? 0) - (this.#points[0]?.plain ?? 0),
    )
  }

  /** The last point at or before `position`; null when that is the start. */
  before(position: number): RestartPoint | null {
    let low = 0
    let high = this.#points.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#points[middle]?.plain ?? 0) <= position) low = middle + 1
      else high = middle
    }
    return this.#points[low - 1] ?? null
  }
}

import { isWithin, parentPath } from '../guest-path.ts'
import type { GuestWarning } from '../warnings.ts'
import type { PlanEntry } from './plan.ts'

/** The changes planned so far, at most one for each path, and the paths nothing may touch. */
export class Claims {
  readonly #entries = new Map<string, PlanEntry>()
  readonly #kept: readonly string[]
  /** Every directory with a kept or written path below it. */
  readonly #needed = new Set<string>()
  readonly #spared = new Set<string>()

  constructor(kept: readonly string[]) {
    this.#kept = kept
    for (const path of kept) this.#need(path)
  }

  /** Adds a change unless the path has one already or is kept. */
  add(entry: PlanEntry): void {
    if (this.#entries.has(entry.path) || this.isKept(entry.path)) return
    this.#entries.set(entry.path, entry)
    if (entry.action === 'write') this.#need(entry.path)
  }

  get(path: string): PlanEntry | undefined {
    return this.#entries.get(path)
  }

  /** Whether a pattern of the caller keeps the path; that it was wanted is remembered. */
  isKept(path: string): boolean {
    const kept = this.#kept.find((candidate) => isWithin(path, candidate))
    if (kept !== undefined) this.#spared.add(kept)
    return kept !== undefined
  }

  unlessKept(path: string, act: () => void): void {
    if (!this.isKept(path)) act()
  }

  /** Whether something below the directory has to stay. */
  isNeeded(directory: string): boolean {
    return this.#needed.has(directory)
  }

  entries(): PlanEntry[] {
    return [...this.#entries.values()]
  }

  keptWarnings(): GuestWarning[] {
    return [...this.#spared].map((path) => ({
      code: 'CLEANING_KEPT',
      message: `${path} stays, as was asked.`,
    }))
  }

  #need(path: string): void {
    for (let directory = parentPath(path); directory !== '/'; directory = parentPath(directory)) {
      this.#needed.add(directory)
    }
  }
}

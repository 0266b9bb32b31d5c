import { isWithin, parentPath } from '../guest-path.ts'
import type { GuestWarning } from '../warnings.ts'
import type { PlanEntry } from './plan.ts'

/** The changes planned so far, at most one for each path but for edits, and the paths nothing may touch. */
export class Claims {
  readonly #entries = new Map<string, PlanEntry[]>()
  readonly #kept: readonly string[]
  /** Every directory with a kept or written path below it. */
  readonly #needed = new Set<string>()
  readonly #spared = new Set<string>()
  /** Files that are already what they have to become. */
  readonly #settled = new Set<string>()

  constructor(kept: readonly string[]) {
    this.#kept = kept
    for (const path of kept) this.#need(path)
  }

  /** Adds a change unless the path has one already or is kept; edits follow each other. */
  add(entry: PlanEntry): void {
    const claimed = this.#entries.get(entry.path) ?? []
    const follows = entry.action === 'edit' && claimed.every(({ action }) => action === 'edit')
    if ((claimed.length > 0 && !follows) || this.isKept(entry.path)) return
    this.#entries.set(entry.path, [...claimed, entry])
    if (entry.action === 'write' || entry.action === 'make-directory') this.#need(entry.path)
  }

  /** Keeps a file that an operation would otherwise have to write. */
  settle(path: string): void {
    this.#settled.add(path)
    this.#need(path)
  }

  get(path: string): PlanEntry | undefined {
    return this.#entries.get(path)?.[0]
  }

  /** Whether a pattern of the caller keeps the path; that it was wanted is remembered. */
  isKept(path: string): boolean {
    if (this.#settled.has(path)) return true
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
    return [...this.#entries.values()].flat()
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

import { DiskError } from '../errors.ts'
import type { DiskErrorCode, SafetyCheckResult } from './verdict.ts'

/** Named checks with what each of them makes sure of. */
export type CheckNames = Readonly<Record<string, string>>

export interface Finding {
  readonly outcome: 'warning' | 'refused'
  readonly code: DiskErrorCode
  readonly offset?: number | undefined
  /** Called for the first finding of its check and code only: hostile tables give millions. */
  readonly message: () => string
}

interface Tally {
  readonly name: string
  readonly finding: Finding
  readonly message: string
  count: number
}

/** Collects what a group of named checks finds. */
export class Findings<Names extends CheckNames> {
  readonly #names: Names
  readonly #tallies = new Map<string, Tally>()
  #refused = false

  constructor(names: Names) {
    this.#names = names
  }

  get refused(): boolean {
    return this.#refused
  }

  add(name: keyof Names & string, finding: Finding): void {
    if (finding.outcome === 'refused') this.#refused = true
    const key = `${name} ${finding.outcome} ${finding.code}`
    const tally = this.#tallies.get(key)
    if (tally) tally.count += 1
    else this.#tallies.set(key, { name, finding, message: finding.message(), count: 1 })
  }

  refuse(
    name: keyof Names & string,
    code: DiskErrorCode,
    offset: number | undefined,
    message: () => string,
  ): void {
    this.add(name, { outcome: 'refused', code, offset, message })
  }

  warn(
    name: keyof Names & string,
    code: DiskErrorCode,
    offset: number | undefined,
    message: () => string,
  ): void {
    this.add(name, { outcome: 'warning', code, offset, message })
  }

  /** Adds an error of a reader as a refusal, with what it advises; anything that is not about the image is thrown on. */
  refuseFor(name: keyof Names & string, error: unknown): void {
    if (!(error instanceof DiskError)) throw error
    const { offset } = error.details
    const message = () => (error.hint ? `${error.message} ${error.hint}` : error.message)
    this.refuse(name, error.code, typeof offset === 'number' ? offset : undefined, message)
  }

  /** The findings of each check in the order of the names, or that it passed. */
  results(): SafetyCheckResult[] {
    return Object.entries(this.#names).flatMap(([name, meaning]): SafetyCheckResult[] => {
      const tallies = [...this.#tallies.values()].filter((tally) => tally.name === name)
      if (tallies.length === 0) return [{ name, outcome: 'passed', message: meaning }]
      return tallies.map(({ finding, message, count }) => ({
        name,
        outcome: finding.outcome,
        code: finding.code,
        message: count > 1 ? `${message} (${count - 1} more of this kind.)` : message,
        ...(finding.offset === undefined ? {} : { offset: finding.offset }),
      }))
    })
  }
}

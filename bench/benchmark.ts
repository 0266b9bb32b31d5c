import type { Contender } from './measure.ts'

/** A job of `docs/benchmarks.md`, made ready in a folder of its own. */
export interface Benchmark {
  /** Of the list of goals: `P1`. */
  readonly id: string
  readonly title: string
  /** What counts as met, in words; null where there is no peer. */
  readonly goal: string
  readonly runs: number
  /** Makes the inputs in `folder` and gives who runs against whom. */
  prepare(folder: string): Promise<Prepared>
}

export interface Prepared {
  readonly ours: Contender
  readonly peer: Contender | null
  readonly peerMissing?: string
  /** What was counted besides time, once it is over: bytes on the wire, for example. */
  readonly remark?: () => string
}

import type { EmitEvent } from '../core/events.ts'
import type { Json } from '../core/json.ts'

/**
 * What a step of an operation sees. Steps are named and journalled: a re-run of the job takes the result of a
 * finished step from the journal instead of running it again.
 */
export interface JobContext {
  readonly jobId: string
  /** Fires when the job is cancelled, from this process or another. */
  readonly signal: AbortSignal
  readonly emit: EmitEvent
  readonly ledger: Ledger
  /**
   * Runs `run` unless an earlier run of this job finished a step of this name. `run` may be interrupted at any moment
   * and started again: it writes down what it is about to make in the ledger first.
   * @param title what a person sees, for example "Cleaning the image"
   */
  step<T extends Json>(name: string, title: string, run: () => Promise<T>): Promise<T>
}

/**
 * A kind of thing a job makes outside its own journal and must account for. `redo` is a folder with changes of a file
 * of the user's: once they were begun they are finished, whatever becomes of the job.
 */
export type ResourceKind = 'image' | 'instance' | 'file' | 'redo'

export interface Resource {
  readonly jobId: string
  readonly kind: ResourceKind
  /** The cloud's configured name; empty for a file. */
  readonly cloud: string
  /** Chosen before the thing exists, sent with its creation. */
  readonly key: string
  /** The cloud's id or the file's path; null while it is only intended. */
  readonly id: string | null
  /** `kept` is the job's result: undo leaves it alone once the job is done. */
  readonly state: 'intended' | 'created' | 'kept' | 'released'
  /** In words: "snapshot of demo". */
  readonly label: string
}

/** The account of everything a job made. Every call is durable when it returns. */
export interface Ledger {
  /**
   * Before creation. Repeating it with the same key changes nothing and gives the entry as it stands, except that an
   * entry that was released is an intention again.
   */
  intend(resource: { kind: ResourceKind; cloud: string; key: string; label: string }): Promise<Resource>
  created(key: string, id: string): Promise<void>
  /** It is part of the result. */
  kept(key: string): Promise<void>
  /** It is gone. */
  released(key: string): Promise<void>
  list(): Promise<Resource[]>
}

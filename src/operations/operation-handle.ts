import type { JobEvent } from '../core/events.ts'

/** A running operation: await it for the result, iterate `events`, or end it. */
export interface OperationHandle<Result> extends PromiseLike<Result> {
  /** Rejected when the job could not even be started. */
  readonly jobId: Promise<string>
  /** Everything that happens from the start, ending with `finished`. May be iterated once. */
  events(): AsyncIterable<JobEvent>
  /** Stops it and removes everything it made. */
  cancel(): Promise<void>
  /** Stops it at once and leaves it to be resumed or undone. */
  interrupt(): Promise<void>
}

/** A queue between the job, which must not be held up, and whoever iterates. */
export class EventQueue {
  readonly #waiting: JobEvent[] = []
  #wake: (() => void) | null = null
  #closed = false

  push(event: JobEvent): void {
    this.#waiting.push(event)
    if (event.type === 'finished') this.#closed = true
    this.#wake?.()
  }

  close(): void {
    this.#closed = true
    this.#wake?.()
  }

  async *events(): AsyncGenerator<JobEvent, void, undefined> {
    for (;;) {
      const event = this.#waiting.shift()
      if (event) yield event
      else if (this.#closed) return
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }
}

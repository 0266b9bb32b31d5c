/**
 * What happens in a job, as data. The progress bar, the plain log, `--json` and the page are renderings of this
 * one stream. Sizes are bytes.
 */
export type JobEvent =
  | { type: 'started'; operation: string; title: string }
  | { type: 'step-started'; step: string; title: string }
  /** `reused` is true when an earlier run of the job had finished the step and its result was taken over. */
  | { type: 'step-finished'; step: string; reused: boolean }
  | { type: 'progress'; transfer: string; title: string; done: number; total: number | null }
  | { type: 'warning'; code: string; message: string; hint?: string }
  | { type: 'log'; message: string }
  | { type: 'finished'; status: JobOutcome; error?: { code: string; message: string; hint?: string } }

export type JobOutcome = 'done' | 'failed' | 'cancelled' | 'interrupted'

/** Takes events; must not throw and must not block. */
export type EmitEvent = (event: JobEvent) => void

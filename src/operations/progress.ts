import type { JobContext } from '../jobs/job.ts'

/** A progress callback that becomes events of the job. `transfer` tells bars apart; bytes. */
export function progressOf(
  context: Pick<JobContext, 'emit'>,
  transfer: string,
  title: string,
): (done: number, total: number | null) => void {
  return (done, total) => context.emit({ type: 'progress', transfer, title, done, total })
}

import { type AbortOptions, sleep } from '../core/abort.ts'
import type { RecordedEvent } from './job-record.ts'
import { readEvents } from './state/event-table.ts'
import { findJob } from './state/job-table.ts'
import type { State } from './state/open-state.ts'

export interface EventQuery extends AbortOptions {
  /** Only events after this sequence number; 0, the default, gives all. */
  after?: number
  /** Goes on as long as the job is run by a process that is alive, this one or another. */
  follow?: boolean
}

const pollInterval = 200
const pageSize = 500

/**
 * The events of a job, in order, from any process.
 * @throws JobError `JOB_NOT_FOUND`; CoreError `CANCELLED` when the signal fires while it follows
 */
export async function* followEvents(
  state: State,
  id: string,
  query: EventQuery,
): AsyncGenerator<RecordedEvent> {
  const jobId = findJob(state, id).id
  let after = query.after ?? 0
  for (;;) {
    // Looked at before the events are read: what a run writes as its last word is then never missed.
    const running = findJob(state, jobId).status === 'running'
    const page = readEvents(state, { jobId, after, limit: pageSize })
    for (const event of page) {
      after = event.sequence
      yield event
    }
    if (page.length === pageSize) continue
    if (!query.follow || !running) return
    await sleep(pollInterval, { signal: query.signal })
  }
}

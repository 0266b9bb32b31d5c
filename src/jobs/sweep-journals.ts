import { discardJournal } from './journal.ts'
import { listJobs } from './state/job-table.ts'
import type { State } from './state/open-state.ts'

/** Removes the journals of jobs that have ended for good and whose process was killed before it could do so. */
export function sweepJournals(state: State): void {
  const found = new Set(state.jobsWithJournal())
  if (found.size === 0) return
  for (const { id, status, held } of listJobs(state)) {
    const isOver = status === 'done' || status === 'cancelled' || status === 'undone'
    if (found.has(id) && isOver && !held) discardJournal(state.journalFile(id))
  }
}

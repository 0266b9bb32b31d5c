import type { DatabaseSync } from 'node:sqlite'
import type { JobEvent } from '../../core/events.ts'
import type { RecordedEvent } from '../job-record.ts'
import { integer, type Row, text } from './columns.ts'
import type { State } from './open-state.ts'

/** Stores an event under the job's next sequence number; progress takes the place of the transfer's former progress. */
export function appendEvent(database: DatabaseSync, jobId: string, event: JobEvent): RecordedEvent {
  const at = new Date().toISOString()
  const transfer = event.type === 'progress' ? event.transfer : null
  const row = database
    .prepare(
      `INSERT OR REPLACE INTO events (job_id, sequence, at, transfer, event)
       SELECT ?1, coalesce(max(sequence), 0) + 1, ?2, ?3, ?4 FROM events WHERE job_id = ?1
       RETURNING sequence`,
    )
    .get(jobId, at, transfer, JSON.stringify(event))
  if (!row) throw new Error('The event was not stored')
  return { ...event, sequence: integer(row, 'sequence'), at }
}

/** The events after sequence number `after`, in order, at most `limit`. */
export function readEvents(
  state: State,
  query: { jobId: string; after: number; limit: number },
): RecordedEvent[] {
  return state.read((database) =>
    database
      .prepare(
        'SELECT sequence, at, event FROM events WHERE job_id = ? AND sequence > ? ORDER BY sequence LIMIT ?',
      )
      .all(query.jobId, query.after, query.limit)
      .map(eventOf),
  )
}

function eventOf(row: Row): RecordedEvent {
  const event: JobEvent = JSON.parse(text(row, 'event'))
  return { ...event, sequence: integer(row, 'sequence'), at: text(row, 'at') }
}

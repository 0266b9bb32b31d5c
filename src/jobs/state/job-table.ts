import { randomBytes } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import type { JobEvent } from '../../core/events.ts'
import type { Json } from '../../core/json.ts'
import { JobError } from '../errors.ts'
import type { JobFailure, JobRecord, JobStatus, RecordedEvent } from '../job-record.ts'
import { isOwnerAlive, type Owner } from '../owner.ts'
import { integer, json, optionalText, type Row, text } from './columns.ts'
import { appendEvent } from './event-table.ts'
import type { State } from './open-state.ts'

/** A job's row with what only this room needs. */
export interface StoredJob extends JobRecord {
  /** Whether a process that is alive holds it: it runs, or is on its way to stop. */
  readonly held: boolean
  /** The status it will have when its resources are released; null while nothing is being released. */
  readonly releasing: 'cancelled' | 'undone' | 'done' | null
}

export function insertJob(
  state: State,
  job: { operation: string; title: string; input: Json; owner: Owner },
): StoredJob {
  const id = newJobId()
  const now = new Date().toISOString()
  return state.write((database) => {
    database
      .prepare(
        `INSERT INTO jobs (id, operation, title, status, input, created_at, updated_at)
         VALUES (?, ?, ?, 'running', ?, ?, ?)`,
      )
      .run(id, job.operation, job.title, JSON.stringify(job.input), now, now)
    setOwner(database, id, job.owner)
    return readJob(database, id)
  })
}

/** The job whose id is, or begins with, `id`. @throws JobError `JOB_NOT_FOUND` | `JOB_AMBIGUOUS` */
export function findJob(state: State, id: string): StoredJob {
  const rows = state.read((database) =>
    database
      // `~` sorts behind every character of an id, so this is a range of the primary key.
      .prepare("SELECT * FROM jobs WHERE id >= ?1 AND id < ?1 || '~' ORDER BY id LIMIT 5")
      .all(id),
  )
  const [row, another] = rows
  if (!row || id === '') {
    throw new JobError('JOB_NOT_FOUND', `There is no job "${id}".`, {
      hint: 'List the jobs with "imagewright jobs list".',
    })
  }
  const job = jobOf(row)
  if (another && job.id !== id) {
    const candidates = rows.map((candidate) => text(candidate, 'id')).join(', ')
    throw new JobError('JOB_AMBIGUOUS', `More than one job begins with "${id}": ${candidates}.`, {
      hint: 'Write more of the id.',
    })
  }
  return job
}

/** Every job, the newest first. */
export function listJobs(state: State): StoredJob[] {
  return state.read((database) =>
    database.prepare('SELECT * FROM jobs ORDER BY created_at DESC, rowid DESC').all().map(jobOf),
  )
}

/**
 * Makes `owner` the one who runs the job, unless somebody alive does; `check` may refuse by throwing. Of two processes that
 * try at once one wins.
 * @param releasing the status the job will have once its resources are released; absent for a resume
 * @throws JobError `JOB_RUNNING`
 */
export function claimJob(
  state: State,
  claim: {
    id: string
    owner: Owner
    check: (job: StoredJob) => void
    releasing?: 'cancelled' | 'undone' | 'done'
  },
): StoredJob {
  return state.write((database) => {
    const job = readJob(database, claim.id)
    claim.check(job)
    if (job.held) {
      throw new JobError('JOB_RUNNING', `Job ${job.id} is being run by process ${job.pid} on ${job.host}.`, {
        hint: `Wait for it with "imagewright jobs log --follow ${job.id}", or stop it with "imagewright jobs cancel ${job.id}".`,
      })
    }
    setOwner(database, claim.id, claim.owner)
    database
      .prepare(
        // What a failed job failed with stays known when it is undone.
        `UPDATE jobs SET status = 'running', cancel_requested = 0, finished_at = NULL, updated_at = ?1,
         error = CASE WHEN ?2 IS NULL THEN NULL ELSE error END, releasing = coalesce(?2, releasing) WHERE id = ?3`,
      )
      .run(new Date().toISOString(), claim.releasing ?? null, claim.id)
    return readJob(database, claim.id)
  })
}

/** Writes down that the job's resources begin to be released: from here on it cannot be resumed. */
export function beginReleasing(state: State, id: string, status: 'cancelled' | 'undone' | 'done'): void {
  state.write((database) => database.prepare('UPDATE jobs SET releasing = ? WHERE id = ?').run(status, id))
}

export interface JobEnd {
  status: JobStatus
  result?: Json
  error?: JobFailure
  /** Told to followers together with the new status. */
  event?: JobEvent
}

/**
 * Writes down how the run ended. `owner` keeps holding the job until `freeJob`. Gives the event as it was stored, null
 * without one or when another owner has taken the job in the meantime: then nothing is written.
 */
export function endJob(state: State, id: string, owner: Owner, end: JobEnd): RecordedEvent | null {
  const now = new Date().toISOString()
  return state.write((database) => {
    const { changes } = database
      .prepare(
        `UPDATE jobs SET status = ?1, result = coalesce(?2, result), error = ?3, updated_at = ?4, finished_at = ?4,
         releasing = CASE WHEN ?1 IN ('cancelled', 'undone', 'done') THEN NULL ELSE releasing END
         WHERE id = ?5 AND owner_token = ?6`,
      )
      .run(
        end.status,
        end.result === undefined ? null : JSON.stringify(end.result),
        end.error ? JSON.stringify(end.error) : null,
        now,
        id,
        owner.token,
      )
    return changes === 1 && end.event ? appendEvent(database, id, end.event) : null
  })
}

/** Lets others take the job. */
export function freeJob(state: State, id: string, owner: Owner): void {
  state.write((database) =>
    database
      .prepare('UPDATE jobs SET owner_token = NULL WHERE id = ? AND owner_token = ?')
      .run(id, owner.token),
  )
}

/** Asks whoever runs the job to cancel it. */
export function requestCancel(state: State, id: string): void {
  state.write((database) => database.prepare('UPDATE jobs SET cancel_requested = 1 WHERE id = ?').run(id))
}

/** What others want of the job this process runs. `lost`: somebody else holds it by now. */
export function ordersFor(state: State, id: string, owner: Owner): 'none' | 'cancel' | 'lost' {
  const row = state.read((database) =>
    database.prepare('SELECT owner_token, cancel_requested FROM jobs WHERE id = ?').get(id),
  )
  if (!row || row.owner_token !== owner.token) return 'lost'
  return row.cancel_requested === 1 ? 'cancel' : 'none'
}

export function beatHeart(state: State, id: string, owner: Owner): void {
  state.log((database) =>
    database
      .prepare('UPDATE jobs SET heartbeat_at = ? WHERE id = ? AND owner_token = ?')
      .run(Date.now(), id, owner.token),
  )
}

function readJob(database: DatabaseSync, id: string): StoredJob {
  const row = database.prepare('SELECT * FROM jobs WHERE id = ?').get(id)
  if (!row) throw new JobError('JOB_NOT_FOUND', `There is no job "${id}".`)
  return jobOf(row)
}

function setOwner(database: DatabaseSync, id: string, owner: Owner): void {
  database
    .prepare(
      `UPDATE jobs SET owner_token = ?, owner_host = ?, owner_pid = ?, owner_started_at = ?, owner_system = ?,
       heartbeat_at = ? WHERE id = ?`,
    )
    .run(owner.token, owner.host, owner.pid, owner.startedAt, owner.system, Date.now(), id)
}

function jobOf(row: Row): StoredJob {
  const host = optionalText(row, 'owner_host')
  const pid = row.owner_pid === null ? null : integer(row, 'owner_pid')
  const token = optionalText(row, 'owner_token')
  const owner: Owner | null =
    token === null || host === null || pid === null
      ? null
      : {
          token,
          host,
          pid,
          startedAt: optionalText(row, 'owner_started_at'),
          system: optionalText(row, 'owner_system'),
        }
  const held = owner !== null && isOwnerAlive(owner, integer(row, 'heartbeat_at'))
  const status = statusOf(row)
  const releasing = releasingOf(row)
  return {
    id: text(row, 'id'),
    operation: text(row, 'operation'),
    title: text(row, 'title'),
    status: status === 'running' && !held ? 'interrupted' : status,
    input: json(row, 'input'),
    result: json(row, 'result'),
    error: failureOf(row),
    host,
    pid,
    undoing: releasing !== null,
    createdAt: text(row, 'created_at'),
    updatedAt: text(row, 'updated_at'),
    finishedAt: optionalText(row, 'finished_at'),
    held,
    releasing,
  }
}

const statuses: readonly JobStatus[] = ['running', 'done', 'failed', 'cancelled', 'interrupted', 'undone']

function statusOf(row: Row): JobStatus {
  const status = statuses.find((known) => known === row.status)
  if (!status) throw new Error(`Unknown job status ${row.status}`)
  return status
}

function releasingOf(row: Row): StoredJob['releasing'] {
  const known: readonly StoredJob['releasing'][] = ['cancelled', 'undone', 'done']
  return known.find((status) => status === row.releasing) ?? null
}

function failureOf(row: Row): JobFailure | null {
  const stored = optionalText(row, 'error')
  return stored === null ? null : JSON.parse(stored)
}

/**
 * 80 random bits in Crockford's base 32. They also make the keys of cloud resources unique among all users of a cloud,
 * so they must not collide; random from the first character on, so that a few characters are enough to type.
 */
function newJobId(): string {
  const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
  return Array.from(randomBytes(16), (byte) => alphabet[byte & 31]).join('')
}

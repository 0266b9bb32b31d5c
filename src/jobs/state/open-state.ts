import { closeSync, mkdirSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type AbortOptions, sleep } from '../../core/abort.ts'
import { StateError } from '../errors.ts'
import { migrations } from './migrations.ts'
import { asStateError, explainingStateErrors, isBusy } from './state-error.ts'

/**
 * The jobs' own tables. Two connections to one file: what a job must not forget (its status, the ledger) is on the
 * disk when the call returns; events may lose their last moments when the machine loses its power, never when a process
 * is killed. Every call is one statement or one short transaction, so a lock is held for milliseconds.
 */
export interface State {
  readonly folder: string
  /** Reads and durable writes (`synchronous=FULL`). */
  read<T>(query: (database: DatabaseSync) => T): T
  /** A transaction that no other process can come between; on the disk when it returns. */
  write<T>(change: (database: DatabaseSync) => T): T
  /** One statement that survives `kill -9` but may be lost with the power. */
  log<T>(change: (database: DatabaseSync) => T): T
  /** Where the journal of a job is. */
  journalFile(jobId: string): string
  /** Ids of the jobs that have one. */
  jobsWithJournal(): string[]
  close(): void
}

/** Milliseconds a statement waits for another process's lock. */
const lockTimeout = 10_000

/**
 * Opens the state in `folder`, making it (mode 0700) where it is missing and bringing an older one up to date.
 * @throws StateError `STATE_DENIED` | `STATE_NO_SPACE` | `STATE_CORRUPT` | `STATE_NEWER` | `STATE_BUSY`
 */
export async function openState(folder: string, options: AbortOptions = {}): Promise<State> {
  const file = join(folder, 'jobs.db')
  const journals = join(folder, 'journals')
  explainingStateErrors(folder, () => {
    mkdirSync(journals, { recursive: true, mode: 0o700 })
    // SQLite would make it readable for everybody; its companions take over the mode of this file.
    closeSync(openSync(file, 'a', 0o600))
  })
  const durable = await connect(file, 'FULL', options)
  try {
    explainingStateErrors(file, () => migrate(durable, file))
    const logging = await connect(file, 'NORMAL', options)
    return {
      folder,
      read: (query) => explainingStateErrors(file, () => query(durable)),
      write: (change) => explainingStateErrors(file, () => transaction(durable, () => change(durable))),
      log: (change) => explainingStateErrors(file, () => change(logging)),
      journalFile: (jobId) => join(journals, `${jobId}.db`),
      jobsWithJournal: () =>
        explainingStateErrors(journals, () => readdirSync(journals))
          .filter((name) => name.endsWith('.db'))
          .map((name) => name.slice(0, -'.db'.length)),
      close: () => {
        logging.close()
        durable.close()
      },
    }
  } catch (error) {
    durable.close()
    throw error
  }
}

async function connect(
  file: string,
  synchronous: 'FULL' | 'NORMAL',
  options: AbortOptions,
): Promise<DatabaseSync> {
  const database = explainingStateErrors(file, () => new DatabaseSync(file, { timeout: lockTimeout }))
  const deadline = Date.now() + lockTimeout
  for (;;) {
    try {
      // Two processes that switch a new file to WAL at the same time can get SQLITE_BUSY without any waiting.
      database.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}; PRAGMA foreign_keys = ON;`,
      )
      return database
    } catch (error) {
      if (!isBusy(error) || Date.now() > deadline) {
        database.close()
        throw asStateError(error, file)
      }
      await sleep(20, options)
    }
  }
}

function migrate(database: DatabaseSync, file: string): void {
  if (schemaVersion(database, file) === migrations.length) return
  transaction(database, () => {
    // Another process may have been faster between the look and the lock.
    for (const step of migrations.slice(schemaVersion(database, file))) database.exec(step)
    database.exec(`PRAGMA user_version = ${migrations.length}`)
  })
}

function schemaVersion(database: DatabaseSync, file: string): number {
  const version = Number(database.prepare('PRAGMA user_version').get()?.user_version)
  if (version > migrations.length) {
    throw new StateError(
      'STATE_NEWER',
      `The state in ${file} has schema ${version}; this version of Imagewright knows up to ${migrations.length}.`,
      { hint: 'Use the newer Imagewright, or another state folder.' },
    )
  }
  return version
}

function transaction<T>(database: DatabaseSync, change: () => T): T {
  database.exec('BEGIN IMMEDIATE')
  try {
    const value = change()
    database.exec('COMMIT')
    return value
  } catch (error) {
    // A full disk or an I/O error may have rolled it back already.
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

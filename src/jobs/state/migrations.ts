/**
 * The schema of `jobs.db`, as numbered steps: the first is version 1. A step that has been released is never edited;
 * a change is a new step at the end. `PRAGMA user_version` holds the number of the last one applied.
 */
export const migrations: readonly string[] = [
  // 1
  `
  CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    operation TEXT NOT NULL,
    title TEXT NOT NULL,
    status TEXT NOT NULL,
    input TEXT NOT NULL,
    result TEXT,
    error TEXT,
    -- Set when the job's resources begin to be released: the status it will have afterwards.
    releasing TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    owner_token TEXT,
    owner_host TEXT,
    owner_pid INTEGER,
    owner_started_at TEXT,
    owner_system TEXT,
    heartbeat_at INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    finished_at TEXT
  ) STRICT;
  CREATE INDEX jobs_by_age ON jobs (created_at);

  CREATE TABLE events (
    job_id TEXT NOT NULL REFERENCES jobs (id),
    sequence INTEGER NOT NULL,
    at TEXT NOT NULL,
    -- Of progress events only: the next one of the same transfer takes its place.
    transfer TEXT,
    event TEXT NOT NULL,
    PRIMARY KEY (job_id, sequence)
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX latest_progress ON events (job_id, transfer) WHERE transfer IS NOT NULL;

  CREATE TABLE resources (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL REFERENCES jobs (id),
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    cloud TEXT NOT NULL,
    resource_id TEXT,
    state TEXT NOT NULL,
    label TEXT NOT NULL,
    UNIQUE (job_id, key)
  ) STRICT;
  `,
]

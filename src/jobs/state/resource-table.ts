import type { Ledger, Resource, ResourceKind } from '../job.ts'
import { optionalText, type Row, text } from './columns.ts'
import type { State } from './open-state.ts'

/** The job's account of what it made. Each change is on the disk when its promise is fulfilled. */
export function openLedger(state: State, jobId: string): Ledger {
  return {
    intend: async (resource) => {
      state.write((database) =>
        database
          .prepare(
            // What was released and is intended anew counts as new: `position` tells the order of making.
            `INSERT INTO resources (job_id, key, kind, cloud, state, label) VALUES (?, ?, ?, ?, 'intended', ?)
             ON CONFLICT (job_id, key) DO UPDATE SET state = 'intended', resource_id = NULL,
               position = (SELECT max(position) + 1 FROM resources)
             WHERE state = 'released'`,
          )
          .run(jobId, resource.key, resource.kind, resource.cloud, resource.label),
      )
      const entry = listResources(state, jobId).find(({ key }) => key === resource.key)
      if (!entry) throw new Error(`The ledger lost ${resource.key}`)
      return entry
    },
    created: async (key, id) => change(state, jobId, key, { state: 'created', id }),
    kept: async (key) => change(state, jobId, key, { state: 'kept', id: null }),
    released: async (key) => change(state, jobId, key, { state: 'released', id: null }),
    list: async () => listResources(state, jobId),
  }
}

/** In the order of making. */
export function listResources(state: State, jobId: string): Resource[] {
  return state.read((database) =>
    database.prepare('SELECT * FROM resources WHERE job_id = ? ORDER BY position').all(jobId).map(resourceOf),
  )
}

function change(
  state: State,
  jobId: string,
  key: string,
  to: { state: Resource['state']; id: string | null },
): void {
  const changes = state.write(
    (database) =>
      database
        .prepare(
          'UPDATE resources SET state = ?, resource_id = coalesce(?, resource_id) WHERE job_id = ? AND key = ?',
        )
        .run(to.state, to.id, jobId, key).changes,
  )
  if (changes !== 1) throw new Error(`Job ${jobId} never intended ${key}`)
}

const kinds: readonly ResourceKind[] = ['image', 'instance', 'file', 'redo']
const states: readonly Resource['state'][] = ['intended', 'created', 'kept', 'released']

function resourceOf(row: Row): Resource {
  const kind = kinds.find((known) => known === row.kind)
  const state = states.find((known) => known === row.state)
  if (!kind || !state) throw new Error(`Unknown resource ${row.kind} ${row.state}`)
  return {
    jobId: text(row, 'job_id'),
    kind,
    cloud: text(row, 'cloud'),
    key: text(row, 'key'),
    id: optionalText(row, 'resource_id'),
    state,
    label: text(row, 'label'),
  }
}

import { mkdir, readdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import { systemErrorCode } from '../../transfer/errors.ts'
import { CloudError } from '../errors.ts'
import { idOfKey, isLocalId, type LocalFolder, type ThingKind } from './local-folder.ts'
import { acquireLock, type Lock, withLock } from './object-lock.ts'
import { readRecord, syncFolder, writeRecord } from './record-file.ts'
import { discardFolder, withScratch } from './scratch.ts'

/** What every record has. */
export interface ThingRecord {
  readonly id: string
  /** The key it was made with. */
  readonly key: string
  readonly createdAt: string
}

/** The images, or the instances, of the folder: records and their locks, nothing of what they mean. */
export interface ThingStore<R extends ThingRecord> {
  /** The thing's folder. The id must be one of `list`, `find` or `create`. */
  pathOf(id: string): string
  /** Null when there is none, also when `id` could never be one. */
  find(id: string): Promise<R | null>
  findByKey(key: string): Promise<R | null>
  /** Newest first. A record nobody can read is given as the error that says so, with its id. */
  list(): Promise<(R | UnreadableThing)[]>
  /**
   * The thing with this key: what is there, or a new one. `prepare` fills the new thing's folder, which nobody sees
   * before it has returned.
   * @throws CloudError `CLOUD_REFUSED` | `CLOUD_CONFLICT` when the id asked for cannot be one, or is taken
   */
  create(key: string, make: NewThing<R>): Promise<R>
  /** Changes a record under its lock. Null when it does not exist. */
  change(id: string, change: (record: R) => Promise<R> | R, options?: AbortOptions): Promise<R | null>
  /** Runs `run` under the thing's lock with its record, or null when there is none (any more). */
  locked<T>(id: string, run: (record: R | null) => Promise<T>, options?: AbortOptions): Promise<T>
  /** The same without reading the record, which need not be readable; nothing when the thing does not exist. */
  ifThere(id: string, run: () => Promise<void>, options?: AbortOptions): Promise<void>
  save(record: R): Promise<void>
  /** Removes everything of it at once. */
  remove(id: string): Promise<void>
}

export interface NewThing<R> {
  /** The id it is to have; follows from the key when absent. */
  id?: string
  record: (id: string, createdAt: string) => R
  prepare?: (path: string, record: R) => Promise<void>
}

export interface UnreadableThing {
  readonly id: string
  readonly unreadable: CloudError
}

export function isUnreadable(thing: ThingRecord | UnreadableThing): thing is UnreadableThing {
  return 'unreadable' in thing
}

export interface ThingStoreOptions<R> {
  kind: ThingKind
  schema: z.ZodType<R>
}

export function openThingStore<R extends ThingRecord>(
  folder: LocalFolder,
  { kind, schema }: ThingStoreOptions<R>,
): ThingStore<R> {
  const root = kind === 'image' ? folder.images : folder.instances
  const pathOf = (id: string) => join(root, id)
  const recordOf = (path: string) => join(path, `${kind}.json`)

  async function find(id: string): Promise<R | null> {
    return isLocalId(id) ? readRecord(recordOf(pathOf(id)), schema) : null
  }

  async function locked<T>(
    id: string,
    run: (record: R | null) => Promise<T>,
    options: AbortOptions = {},
  ): Promise<T> {
    const lock = await lockOf(id, options)
    if (lock === null) return run(null)
    try {
      return await run(await find(id))
    } finally {
      lock.release()
    }
  }

  async function ifThere(id: string, run: () => Promise<void>, options: AbortOptions = {}): Promise<void> {
    const lock = await lockOf(id, options)
    try {
      if (lock !== null) await run()
    } finally {
      lock?.release()
    }
  }

  /** Null when the thing does not exist, or was deleted by whoever held its lock. */
  async function lockOf(id: string, { signal }: AbortOptions): Promise<Lock | null> {
    const isThere = async () => isLocalId(id) && (await folderExists(pathOf(id)))
    if (!(await isThere())) return null
    try {
      return await acquireLock(join(pathOf(id), 'lock'), { what: `${kind} ${id}`, signal })
    } catch (error) {
      if (!(await isThere())) return null
      throw error
    }
  }

  async function list(): Promise<(R | UnreadableThing)[]> {
    const ids = (await readdir(root)).filter(isLocalId)
    const things = await Promise.all(
      ids.map(async (id) => {
        try {
          return await find(id)
        } catch (error) {
          if (error instanceof CloudError && error.code === 'LOCAL_RECORD_INVALID')
            return { id, unreadable: error }
          throw error
        }
      }),
    )
    return things.filter((thing) => thing !== null).sort(newestFirst)
  }

  /** Nearly every thing has the id of its key; one whose id was chosen is found by looking at all. */
  async function findByKey(key: string): Promise<R | null> {
    const usual = await find(idOfKey(kind, key))
    if (usual) return usual
    for (const thing of await list()) if (!isUnreadable(thing) && thing.key === key) return thing
    return null
  }

  const save = (record: R) => writeRecord(recordOf(pathOf(record.id)), record)

  return {
    pathOf,
    find,
    findByKey,
    locked,
    ifThere,
    save,

    list,

    async create(key, make) {
      const id = chosenId(make.id) ?? idOfKey(kind, key)
      const existing = await (make.id === undefined ? find(id) : findByKey(key))
      if (existing) return existing
      return withScratch(folder, async (scratch) => {
        const draft = join(scratch, 'draft')
        await mkdir(draft, { mode: 0o700 })
        await make.prepare?.(draft, make.record(id, new Date().toISOString()))
        // One at a time, so that things become visible in the order of their creation times.
        return withLock(join(root, 'lock'), { what: `the ${kind}s of ${folder.path}` }, async () => {
          const record = make.record(id, new Date().toISOString())
          await writeRecord(recordOf(draft), record)
          if (await moveIntoPlace(draft, pathOf(id))) {
            await syncFolder(root)
            return record
          }
          const winner = await find(id)
          if (winner && winner.key !== key) {
            throw new CloudError('CLOUD_CONFLICT', `There is another ${kind} with the id ${id}.`)
          }
          if (winner) return winner
          throw new CloudError('LOCAL_RECORD_INVALID', `${pathOf(id)} is in the way: it has no record.`, {
            hint: 'Delete that folder.',
          })
        })
      })
    },

    change: (id, change, options) =>
      locked(
        id,
        async (record) => {
          if (!record) return null
          const changed = await change(record)
          await save(changed)
          return changed
        },
        options,
      ),

    remove: (id) => (isLocalId(id) ? discardFolder(folder, pathOf(id)) : Promise.resolve()),
  }
}

function chosenId(id: string | undefined): string | undefined {
  if (id === undefined || isLocalId(id)) return id
  throw new CloudError('CLOUD_REFUSED', `"${id}" cannot be an id in the embedded cloud.`, {
    hint: 'An id is a UUID in lower case.',
  })
}

async function moveIntoPlace(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST'].includes(systemErrorCode(error) ?? '')) return false
    throw error
  }
}

async function folderExists(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false
    throw error
  }
}

function newestFirst(a: ThingRecord | UnreadableThing, b: ThingRecord | UnreadableThing): number {
  if (isUnreadable(a) || isUnreadable(b)) return Number(isUnreadable(a)) - Number(isUnreadable(b))
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? 1 : -1
  return a.id < b.id ? -1 : 1
}

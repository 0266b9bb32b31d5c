import { createHash } from 'node:crypto'
import { chmod, mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { systemErrorCode } from '../../transfer/errors.ts'
import { CloudError } from '../errors.ts'

/**
 * The embedded cloud is a folder, and the folder is its only state: there is no server. What makes several processes
 * safe in it at once:
 *
 * - A thing's id follows from its idempotency key, and its folder is prepared in `scratch/` and renamed into place.
 *   Renaming onto a folder that is not empty fails, so of any number of processes with one key exactly one creates it.
 * - Records are replaced by rename, so that a reader sees an old or a new one, never half of one.
 * - Changes are made under a lock the kernel holds (object-lock.ts), so that a dead process never blocks anybody.
 * - A thing is deleted by renaming its folder back into `scratch/`; what a dead process left there is swept.
 *
 * ```
 * images/<id>/      image.json data lock
 * instances/<id>/   instance.json disk.qcow2 seed.img console.log qemu.log pid qmp.sock agent.sock lock
 * scratch/<name>/   lock ...
 * ```
 */
export interface LocalFolder {
  /** Absolute. */
  readonly path: string
  readonly images: string
  readonly instances: string
  readonly scratch: string
}

export type ThingKind = 'image' | 'instance'

/**
 * Makes the folders where they are missing. They hold other people's disks: only their owner may enter.
 * @throws CloudError `LOCAL_FOLDER_UNUSABLE`
 */
export async function openLocalFolder(folder: string): Promise<LocalFolder> {
  const path = resolve(folder)
  const folders = {
    path,
    images: join(path, 'images'),
    instances: join(path, 'instances'),
    scratch: join(path, 'scratch'),
  }
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    await chmod(path, 0o700)
    for (const inner of [folders.images, folders.instances, folders.scratch]) {
      await mkdir(inner, { recursive: true, mode: 0o700 })
    }
  } catch (error) {
    throw new CloudError(
      'LOCAL_FOLDER_UNUSABLE',
      `Cannot use ${path} (${systemErrorCode(error) ?? 'unknown'}).`,
      {
        hint: 'Choose another folder in the configuration, or make this one writable.',
        cause: error,
      },
    )
  }
  return folders
}

/** The id of the thing made with this key: a name-based UUID (RFC 9562 version 8) of SHA-256. */
export function idOfKey(kind: ThingKind, key: string): string {
  const digest = createHash('sha256').update(`imagewright local ${kind}\0${key}`).digest()
  digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x80, 6)
  digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = digest.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  )
}

/** Whether it can be an id of ours. Everything else never becomes part of a path. */
export function isLocalId(id: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)
}

import { z } from 'zod'
import { type AbortOptions, poll } from '../../core/abort.ts'
import { CloudError } from '../errors.ts'
import { keyProperty } from './image-key.ts'
import { listPages } from './list-pages.ts'
import { isCode } from './nova-api.ts'
import type { OpenStackSession, ServiceRequest } from './session.ts'

const volumeShape = z.object({
  id: z.string(),
  name: z.string().nullish(),
  status: z.string(),
  /** GiB. */
  size: z.number(),
  /** "true" or "false". */
  bootable: z.string().default('false'),
  encrypted: z.boolean().default(false),
  volume_image_metadata: z.record(z.string(), z.string()).default({}),
})
const snapshotShape = z.object({
  id: z.string(),
  name: z.string().nullish(),
  status: z.string(),
  /** GiB. */
  size: z.number(),
  volume_id: z.string(),
})

export type Volume = z.infer<typeof volumeShape>
export type VolumeSnapshot = z.infer<typeof snapshotShape>

/** Volumes and their snapshots. What is made here bears a name of the caller's choice, by which it is found again. */
export interface CinderApi {
  volume(id: string, options?: AbortOptions): Promise<Volume>
  volumes(options?: AbortOptions): AsyncIterable<Volume>
  snapshots(options?: AbortOptions): AsyncIterable<VolumeSnapshot>
  /** Of a volume that may be in use. Not interrupted half way. */
  createSnapshot(volumeId: string, made: Made): Promise<VolumeSnapshot>
  /** A volume of the snapshot's size with its content. Not interrupted half way. */
  createVolume(snapshot: VolumeSnapshot, made: Made): Promise<Volume>
  /** Has the volume written to a new private image, and gives that image's id. Not interrupted half way. */
  uploadToImage(volume: Volume, image: { name: string; format: string }): Promise<string>
  /** @throws CloudError `INSTANCE_SNAPSHOT_FAILED` when it went wrong; CoreError `TIMED_OUT` */
  waitUntilAvailable(kind: PieceKind, id: string, options: WaitForPiece): Promise<void>
  /** The error that says what went wrong with it, in Cinder's words if it has any. */
  failure(kind: PieceKind, id: string, what: string): Promise<CloudError>
  /** Deletes it as soon as it rests, and waits until it is gone. What is gone already is no error. */
  remove(kind: PieceKind, id: string, options: WaitForPiece): Promise<void>
}

export type PieceKind = 'volume' | 'snapshot'

export interface Made {
  name: string
  key: string
}

export interface WaitForPiece extends AbortOptions {
  /** Milliseconds. */
  deadline: number
}

/** The first with `visibility` for an image that is made of a volume. */
const uploadMicroversion = '3.1'

export function cinderApi(session: OpenStackSession): CinderApi {
  async function ask<T>(
    path: string,
    shape: z.ZodType<T>,
    { json, ...rest }: AbortOptions & Pick<ServiceRequest, 'json' | 'query' | 'microversion'> = {},
  ): Promise<T> {
    const method = json === undefined ? 'GET' : 'POST'
    const request = { method, path, ...(json === undefined ? {} : { json }), ...rest } as const
    return (await session.request('block-storage', request)).json(shape)
  }

  async function volume(id: string, options: AbortOptions = {}): Promise<Volume> {
    return (await ask(`volumes/${encodeURIComponent(id)}`, z.object({ volume: volumeShape }), options)).volume
  }

  async function statusOf(kind: PieceKind, id: string, options: AbortOptions): Promise<string | null> {
    try {
      if (kind === 'volume') return (await volume(id, options)).status
      const shape = z.object({ snapshot: snapshotShape })
      return (await ask(`snapshots/${encodeURIComponent(id)}`, shape, options)).snapshot.status
    } catch (error) {
      if (isCode(error, 'CLOUD_NOT_FOUND')) return null
      throw error
    }
  }

  /** What Cinder tells users of a failure. It must not hide the failure itself. */
  async function messageOf(id: string): Promise<string> {
    const shape = z.object({ messages: z.array(z.object({ user_message: z.string() })) })
    try {
      const { messages } = await ask('messages', shape, {
        query: { resource_uuid: id },
        microversion: '3.5',
      })
      return messages[0] ? ` ${messages[0].user_message}` : ''
    } catch (error) {
      if (error instanceof CloudError) return ''
      throw error
    }
  }

  async function failure(kind: PieceKind, id: string, what: string): Promise<CloudError> {
    const name = kind === 'volume' ? 'volume' : 'snapshot of a volume'
    return new CloudError(
      'INSTANCE_SNAPSHOT_FAILED',
      `The ${name} ${session.cloudName}:${id} ${what}.${await messageOf(id)}`,
      { details: { [kind]: id } },
    )
  }

  return {
    failure,
    volume,
    volumes: ({ signal } = {}) =>
      listPages(session, 'block-storage', {
        path: 'volumes/detail',
        collection: 'volumes',
        item: volumeShape,
        signal,
      }),
    snapshots: ({ signal } = {}) =>
      listPages(session, 'block-storage', {
        path: 'snapshots/detail',
        collection: 'snapshots',
        item: snapshotShape,
        signal,
      }),

    async createSnapshot(volumeId, { name, key }) {
      const json = { snapshot: { volume_id: volumeId, name, force: true, metadata: { [keyProperty]: key } } }
      return (await ask('snapshots', z.object({ snapshot: snapshotShape }), { json })).snapshot
    },

    async createVolume({ id, size }, { name, key }) {
      const json = { volume: { snapshot_id: id, size, name, metadata: { [keyProperty]: key } } }
      return (await ask('volumes', z.object({ volume: volumeShape }), { json })).volume
    },

    async uploadToImage({ id }, { name, format }) {
      const upload = {
        image_name: name,
        disk_format: format,
        container_format: 'bare',
        visibility: 'private',
      }
      const shape = z.object({ 'os-volume_upload_image': z.object({ image_id: z.string() }) })
      const answer = await ask(`volumes/${encodeURIComponent(id)}/action`, shape, {
        json: { 'os-volume_upload_image': upload },
        microversion: uploadMicroversion,
      })
      return answer['os-volume_upload_image'].image_id
    },

    async waitUntilAvailable(kind, id, { deadline, signal }) {
      await poll({
        what: `the ${kind} ${session.cloudName}:${id} to be available`,
        deadline,
        interval: 300,
        maximumInterval: 10_000,
        signal,
        async attempt() {
          const status = await statusOf(kind, id, { signal })
          if (status === null || /error/.test(status)) throw await failure(kind, id, `is ${status ?? 'gone'}`)
          return status === 'available' ? true : undefined
        },
      })
    },

    async remove(kind, id, { deadline, signal }) {
      let asked = false
      await poll({
        what: `the ${kind} ${session.cloudName}:${id} to be gone`,
        deadline,
        interval: 300,
        maximumInterval: 10_000,
        signal,
        async attempt() {
          const status = await statusOf(kind, id, { signal })
          if (status === null) return true
          const rests = status === 'available' || status === 'error'
          if (asked && status === 'error_deleting') throw await failure(kind, id, 'could not be deleted')
          if (rests || (!asked && status === 'error_deleting'))
            asked = (await askToDelete(kind, id, signal)) || asked
          return undefined
        },
      })
    },
  }

  /** False when it cannot be deleted yet: something is still being made of it. */
  async function askToDelete(kind: PieceKind, id: string, signal: AbortSignal | undefined): Promise<boolean> {
    const path = `${kind}s/${encodeURIComponent(id)}`
    const answer = await session.request('block-storage', {
      method: 'DELETE',
      path,
      signal,
      accept: [400, 404, 409],
    })
    await answer.discard()
    return answer.status < 300
  }
}

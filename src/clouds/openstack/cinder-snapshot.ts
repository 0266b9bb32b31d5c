import { z } from 'zod'
import { poll, throwIfCancelled } from '../../core/abort.ts'
import type { CloudImage, CreateOptions, ImageService, Snapshot } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import { type CinderApi, cinderApi, type Volume, type VolumeSnapshot } from './cinder-api.ts'
import { findSnapshotOf, pieceName, releaseVolumePieces } from './cinder-pieces.ts'
import { keyProperties } from './image-key.ts'
import { isCode, type NovaApi } from './nova-api.ts'
import { type NovaServer, nameOf, statusOf } from './nova-server.ts'
import {
  createImage,
  failed,
  imageOrNull,
  isFreezable,
  isTrue,
  type SnapshotWish,
  snapshotDeadline,
} from './nova-snapshot.ts'

/*
 * A server whose disk is a volume. Nova's image of such a server is a record without a byte that names snapshots of all
 * its volumes; nothing of it can be downloaded. So:
 *
 *   root volume -> snapshot -> temporary volume -> os-volume_upload_image -> image
 *
 * The snapshot is taken by Nova where the guest can be frozen, which only Nova can ask for, and then of all volumes at
 * once; otherwise by Cinder, of the root volume alone. Of a shelved server there is none: its volumes are reserved. A
 * volume that is in use can be uploaded only where the operators allow it, and would change under the reader: hence the
 * temporary one.
 *
 * Until the image is complete it and everything else is named after the key; a killed run's pieces are removed by that
 * name. The image gets its name and its key in one change at the end, and is the call's result from then on.
 */

interface Walk {
  readonly api: NovaApi
  readonly images: ImageService
  readonly cinder: CinderApi
  readonly server: NovaServer
  readonly key: string
  readonly signal: AbortSignal | undefined
}

/**
 * An image of the root volume of a server.
 * @throws CloudError `CLOUD_UNSUPPORTED` when the volume is encrypted | `INSTANCE_STATE` when it is reserved | `INSTANCE_SNAPSHOT_FAILED` | `CLOUD_QUOTA`
 */
export async function snapshotVolumeBacked(
  parts: { api: NovaApi; images: ImageService },
  server: NovaServer,
  { wish, earlier, key, signal }: CreateOptions & { wish: SnapshotWish; earlier: CloudImage | null },
): Promise<Snapshot> {
  const walk: Walk = { ...parts, cinder: cinderApi(parts.api.session), server, key, signal }
  // What an earlier run left, of which only the image itself is of use.
  await releaseVolumePieces(parts, key, { signal })
  if (earlier) return snapshotOf(earlier, earlier.properties, server)
  throwIfCancelled(signal)
  try {
    const result = await take(walk, wish)
    await releaseVolumePieces(parts, key)
    return result
  } catch (error) {
    throw await withoutAnything(walk, error)
  }
}

async function take(walk: Walk, wish: SnapshotWish): Promise<Snapshot> {
  const { cinder, images, key, server, signal } = walk
  const root = await rootVolume(walk)
  const snapshot = await (isFreezable(root.volume_image_metadata, server)
    ? snapshotThroughNova(walk, root)
    : cinder.createSnapshot(root.id, { name: pieceName(key), key }))
  await cinder.waitUntilAvailable('snapshot', snapshot.id, { deadline: snapshotDeadline, signal })
  const volume = await cinder.createVolume(snapshot, { name: pieceName(key), key })
  await cinder.waitUntilAvailable('volume', volume.id, { deadline: snapshotDeadline, signal })
  const imageId = await cinder.uploadToImage(volume, { name: pieceName(key), format: 'qcow2' })
  await waitForUpload(walk, { volume, imageId })
  const properties = {
    image_type: 'snapshot',
    instance_uuid: server.id,
    ...wish.properties,
    ...keyProperties(key, server.id),
  }
  throwIfCancelled(signal)
  const image = await images.update(imageId, { name: wish.name, visibility: 'private', properties })
  return snapshotOf(image, root.volume_image_metadata, server)
}

/** @param properties of the image the volume was made of */
function snapshotOf(
  image: CloudImage,
  properties: Readonly<Record<string, string>>,
  server: NovaServer,
): Snapshot {
  const frozen = isTrue(properties.os_require_quiesce) ? true : null
  return { image, quiesced: isFreezable(properties, server) ? frozen : false, borrowed: false }
}

/** Nova freezes the guest and takes snapshots of all volumes. The record it makes is worth nothing to us. */
async function snapshotThroughNova(walk: Walk, root: Volume): Promise<VolumeSnapshot> {
  const { api, cinder, images, key, server, signal } = walk
  try {
    const { id } = await createImage({ api, images }, server, { name: pieceName(key), properties: {} })
    await images.delete(id)
  } catch (error) {
    throw isTrue(root.volume_image_metadata.os_require_quiesce) ? notFrozen(walk, error) : error
  }
  const snapshot = await findSnapshotOf(cinder, { key, volumeId: root.id, signal })
  if (snapshot) return snapshot
  throw failed(api, server, `The cloud made no snapshot of its root volume ${root.id}.`)
}

/** Nova has no better answer than a failure of its own for a guest that does not let itself be frozen. */
function notFrozen({ api, server }: Walk, error: unknown): unknown {
  if (!isCode(error, 'CLOUD_FAILED')) return error
  return new CloudError(
    'INSTANCE_SNAPSHOT_FAILED',
    `${api.session.cloudName}:${nameOf(server)} was not copied, probably because its file systems could not be frozen: ${error.message}`,
    {
      hint: 'Its image has os_require_quiesce. See that the guest agent runs in it, or stop the instance first.',
      cause: error,
      details: error.details,
    },
  )
}

/** Ready when the image has its bytes and the volume rests again: only then can the volume be deleted. */
async function waitForUpload(
  { api, cinder, images, signal }: Walk,
  { volume, imageId }: { volume: Volume; imageId: string },
): Promise<void> {
  await poll({
    what: `the volume ${api.session.cloudName}:${volume.id} to be written to the image ${imageId}`,
    deadline: snapshotDeadline,
    interval: 500,
    maximumInterval: 10_000,
    signal,
    async attempt() {
      const { status } = await cinder.volume(volume.id, { signal })
      if (status === 'uploading') return undefined
      const image = await imageOrNull(images, imageId, { signal })
      if (status !== 'available' || image?.status !== 'active' || !image.size || image.format === null) {
        throw await cinder.failure('volume', volume.id, 'was not written to an image')
      }
      return true
    },
  })
}

/** The bootable one of its volumes; of several the one whose device comes first. */
async function rootVolume(walk: Walk): Promise<Volume> {
  const { api, cinder, server, signal } = walk
  const response = await api.session.request('compute', {
    path: `servers/${server.id}/os-volume_attachments`,
    signal,
  })
  const { volumeAttachments } = await response.json(
    z.object({
      volumeAttachments: z.array(z.object({ volumeId: z.string(), device: z.string().nullish() })),
    }),
  )
  const devices = volumeAttachments.toSorted((a, b) => ((a.device ?? '') < (b.device ?? '') ? -1 : 1))
  for (const { volumeId } of devices) {
    const volume = await cinder.volume(volumeId, { signal })
    if (volume.bootable !== 'true') continue
    refuseUnreadable(walk, volume)
    return volume
  }
  throw failed(api, server, 'None of its volumes is one to boot from.')
}

function refuseUnreadable({ api, server }: Walk, { id, status, encrypted }: Volume): void {
  const what = `The volume ${id} of ${api.session.cloudName}:${nameOf(server)} is`
  if (encrypted) {
    throw new CloudError('CLOUD_UNSUPPORTED', `${what} encrypted.`, {
      hint: 'An image of it could be read only with its key. Copy it to a volume without encryption first.',
    })
  }
  if (status === 'in-use' || status === 'available') return
  throw new CloudError('INSTANCE_STATE', `${what} ${status}, and Cinder copies none that is.`, {
    // Nova keeps the volumes of a shelved server reserved for it.
    hint:
      statusOf(server) === 'shelved'
        ? 'Start the instance first.'
        : 'Try again when it is in use or available.',
  })
}

/** The reason for the failure, when everything has been removed; it says so if something is left. */
async function withoutAnything({ api, images, key }: Walk, reason: unknown): Promise<unknown> {
  try {
    const image = await images.findByKey(key)
    if (image) await images.delete(image.id)
    await releaseVolumePieces({ api, images }, key)
    return reason
  } catch (error) {
    const [what, why] = [reason, error].map((each) => (each instanceof Error ? each.message : String(each)))
    return new CloudError('INSTANCE_SNAPSHOT_FAILED', `${what} What was made could not be deleted: ${why}`, {
      cause: reason,
      hint: `Delete the volume, the snapshots of volumes and the image called "${pieceName(key)}".`,
    })
  }
}

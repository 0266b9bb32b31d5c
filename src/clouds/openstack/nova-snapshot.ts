import { z } from 'zod'
import { type AbortOptions, poll, throwIfCancelled } from '../../core/abort.ts'
import type { CloudImage, CreateOptions, ImageService, Snapshot } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import { keyProperties, keyProperty } from './image-key.ts'
import { isCode, type NovaApi } from './nova-api.ts'
import { isBusy } from './nova-power.ts'
import { type NovaServer, nameOf, statusOf } from './nova-server.ts'
import { snapshotFault } from './nova-snapshot-fault.ts'

/** Milliseconds. Large disks are copied, flattened and uploaded by the host, one after the other. */
export const snapshotDeadline = 4 * 60 * 60_000
/** Milliseconds between the end of the server's task and the moment from which an image without data counts as failed. */
const grace = 30_000

export interface SnapshotWish {
  name: string
  properties?: Readonly<Record<string, string>>
}

/**
 * Nova's own image of a server whose disk is on its host. Nova flattens it, freezes file systems if the image the server
 * was started from says that there is a guest agent, and deletes the image if it fails.
 */
export async function snapshotServer(
  { api, images }: { api: NovaApi; images: ImageService },
  server: NovaServer,
  { wish, earlier, key, signal }: CreateOptions & { wish: SnapshotWish; earlier: CloudImage | null },
): Promise<Snapshot> {
  if (earlier?.status === 'active') return snapshotOf(earlier, server)
  throwIfCancelled(signal)
  const { id, requestId } = earlier
    ? { id: earlier.id, requestId: null }
    : await createImage({ api, images }, server, {
        name: wish.name,
        properties: { ...wish.properties, ...keyProperties(key, server.id) },
      })
  try {
    await waitForImage({ api, images }, server, { id, requestId, signal })
    const image = await completeImage(images, id, { properties: wish.properties ?? {}, signal })
    if (!image.size || image.format === null) {
      throw failed(api, server, 'The cloud stored an image without data.')
    }
    return snapshotOf(image, server)
  } catch (error) {
    throw await withoutImage(images, id, error)
  }
}

/**
 * The image a shelved server is kept in. Nova does not tell its id: it is the newest snapshot of this server that has
 * the name Nova gives it.
 */
export async function shelvedImage(
  { api, images }: { api: NovaApi; images: ImageService },
  server: NovaServer,
  { signal }: AbortOptions,
): Promise<Snapshot> {
  const filter = {
    status: 'active',
    properties: { instance_uuid: server.id, image_type: 'snapshot' },
  } as const
  const shelved: CloudImage[] = []
  for await (const image of images.list(filter, { signal })) {
    if (image.name.endsWith('-shelved') && image.size) shelved.push(image)
  }
  const [newest] = shelved.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1))
  if (!newest) {
    throw failed(api, server, 'It is shelved, and the image it is kept in is not to be found.')
  }
  return { image: newest, quiesced: false, borrowed: true }
}

/** Not interrupted half way, so that what it made is known. */
export async function createImage(
  { api, images }: { api: NovaApi; images: ImageService },
  server: NovaServer,
  { name, properties }: { name: string; properties: Readonly<Record<string, string>> },
): Promise<{ id: string; requestId: string | null }> {
  try {
    const metadata = Object.fromEntries(Object.entries(properties).filter(isMetadata))
    const response = await api.action(server, { createImage: { name, metadata } })
    const { requestId, headers } = response
    // From microversion 2.45 on the answer has a body, before that the image's address in a header.
    const id = headers.location
      ? headers.location.slice(headers.location.lastIndexOf('/') + 1)
      : (await response.json(z.object({ image_id: z.string() }))).image_id
    return { id, requestId }
  } catch (error) {
    // The answer was lost, perhaps after the image had been made.
    if (
      isCode(error, 'CLOUD_UNREACHABLE', 'CLOUD_FAILED', 'CLOUD_ANSWER_INVALID') &&
      properties[keyProperty]
    ) {
      const made = await images.findByKey(properties[keyProperty]).catch(() => null)
      if (made) return { id: made.id, requestId: null }
    }
    throw error
  }
}

async function waitForImage(
  { api, images }: { api: NovaApi; images: ImageService },
  server: NovaServer,
  { id, requestId, signal }: { id: string; requestId: string | null; signal: AbortSignal | undefined },
): Promise<void> {
  let idleSince: number | null = null
  await poll({
    what: `the image of ${api.session.cloudName}:${nameOf(server)}`,
    deadline: snapshotDeadline,
    interval: 300,
    maximumInterval: 10_000,
    signal,
    async attempt() {
      // First the server: what it has finished the image already shows.
      const now = await api.server(server.id, { signal })
      const image = await imageOrNull(images, id, { signal })
      if (image === null || image.status === 'error') {
        throw failed(api, server, await snapshotFault(api, server.id, { requestId, signal }))
      }
      if (isBusy(now)) {
        idleSince = null
        return undefined
      }
      if (image.status === 'active') return true
      idleSince ??= Date.now()
      if (Date.now() - idleSince < grace) return undefined
      throw failed(api, server, await snapshotFault(api, server.id, { requestId, signal }))
    },
  })
}

/** Gives the image what createImage cannot be told, and takes care that nobody else may read it. */
async function completeImage(
  images: ImageService,
  id: string,
  { properties, signal }: { properties: Readonly<Record<string, string>>; signal: AbortSignal | undefined },
): Promise<CloudImage> {
  const image = await images.get(id, { signal })
  const rest = Object.fromEntries(Object.entries(properties).filter((property) => !isMetadata(property)))
  const isPrivate = image.visibility === 'private'
  if (isPrivate && Object.keys(rest).length === 0) return image
  return images.update(id, { ...(isPrivate ? {} : { visibility: 'private' }), properties: rest }, { signal })
}

/** Whether it fits the metadata of createImage. */
function isMetadata([name, value]: readonly [string, string]): boolean {
  return /^[a-zA-Z0-9\-_:. ]{1,255}$/.test(name) && value.length <= 255
}

function snapshotOf(image: CloudImage, server: NovaServer): Snapshot {
  // Nova copies the properties of the image the server was started from.
  const quiesced = isFreezable(image.properties, server) ? null : false
  return { image, quiesced, borrowed: false }
}

/**
 * Whether Nova tries to freeze the file systems: those of a running server whose image says that there is a guest agent.
 *
 * For a disk on the host it goes on without a word when the agent does not answer, also with `os_require_quiesce`, which
 * only makes it look for the agent's channel first (nova/virt/libvirt/driver.py, `_live_snapshot`). For volumes
 * `os_require_quiesce` makes it fail.
 */
export function isFreezable(properties: Readonly<Record<string, string>>, server: NovaServer): boolean {
  return statusOf(server) === 'running' && isTrue(properties.hw_qemu_guest_agent)
}

/** As oslo.utils reads it. */
export function isTrue(value: string | undefined): boolean {
  return value !== undefined && /^(1|t|true|on|y|yes)$/i.test(value)
}

/** The reason for the failure, when the image has been deleted; it names the image if even that fails. */
export async function withoutImage(images: ImageService, id: string, reason: unknown): Promise<unknown> {
  try {
    await images.delete(id)
    return reason
  } catch (error) {
    if (isCode(error, 'IMAGE_NOT_FOUND')) return reason
    const [what, why] = [reason, error].map((each) => (each instanceof Error ? each.message : String(each)))
    return new CloudError('INSTANCE_SNAPSHOT_FAILED', `${what} What was made could not be deleted: ${why}`, {
      cause: reason,
      hint: `Delete the image ${id}.`,
      details: { id },
    })
  }
}

export async function imageOrNull(
  images: ImageService,
  id: string,
  options: AbortOptions,
): Promise<CloudImage | null> {
  try {
    return await images.get(id, options)
  } catch (error) {
    if (isCode(error, 'IMAGE_NOT_FOUND')) return null
    throw error
  }
}

export function failed(api: NovaApi, server: NovaServer, reason: string): CloudError {
  return new CloudError(
    'INSTANCE_SNAPSHOT_FAILED',
    `${api.session.cloudName}:${nameOf(server)} was not copied: ${reason}`,
    { details: { instance: server.id } },
  )
}

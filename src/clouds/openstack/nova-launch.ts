import { z } from 'zod'
import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { GiB } from '../../core/bytes.ts'
import type { CloudImage, CreateOptions, ImageService, NewInstance } from '../cloud.ts'
import { cloudConfig } from '../cloud-config.ts'
import { CloudError } from '../errors.ts'
import { keyProperty } from './image-key.ts'
import { chooseNetworks } from './neutron-network.ts'
import { isCode, type NovaApi } from './nova-api.ts'
import { chooseFlavor } from './nova-flavor.ts'
import { findServersByKey } from './nova-key.ts'
import { isBusy, stopServer } from './nova-power.ts'
import { type NovaServer, statusOf } from './nova-server.ts'
import { terminateServer } from './nova-terminate.ts'

/** Milliseconds: the image may have to reach the host first, or be written to a volume. */
const buildDeadline = 60 * 60_000
/** MiB, where neither the caller nor the image says anything. */
const usualMemory = 1024
/** Nova's limit, in characters of base64. */
const longestUserData = 65_535

/** Launches of this process that are under way: the second of two with one key waits for the first one's server. */
const underWay = new Map<string, Promise<unknown>>()

/**
 * Starts a server and waits until it runs, or stops it again if it is not to run: Nova makes no disk without starting
 * it. A server that fails is deleted.
 * @throws CloudError `IMAGE_NOT_FOUND` | `IMAGE_HAS_NO_DATA` | `IMAGE_STATE` | `INSTANCE_INVALID` | `INSTANCE_NO_HOST` |
 *   `INSTANCE_NETWORK_AMBIGUOUS` | `INSTANCE_FAILED` | `CLOUD_QUOTA`
 */
export async function launchServer(
  parts: { api: NovaApi; images: ImageService },
  instance: NewInstance,
  options: CreateOptions,
): Promise<NovaServer> {
  const lane = `${parts.api.session.cloudName} ${options.key}`
  const before = underWay.get(lane)
  const launching = (before ?? Promise.resolve()).then(
    () => launch(parts, instance, options),
    () => launch(parts, instance, options),
  )
  underWay.set(lane, launching)
  try {
    return await launching
  } finally {
    if (underWay.get(lane) === launching) underWay.delete(lane)
  }
}

async function launch(
  { api, images }: { api: NovaApi; images: ImageService },
  instance: NewInstance,
  { key, signal }: CreateOptions,
): Promise<NovaServer> {
  throwIfCancelled(signal)
  const [known] = await findServersByKey(api, key, { signal })
  const server =
    known ??
    (await create(api, instance, { key, signal, image: await usable(images, instance.imageId, { signal }) }))
  try {
    const built = await waitUntilBuilt(api, server.id, { signal })
    return instance.start === false ? await stopServer(api, built, { signal }) : built
  } catch (error) {
    throw await afterFailure(api, server.id, error)
  }
}

async function usable(images: ImageService, id: string, options: AbortOptions): Promise<CloudImage> {
  const image = await images.get(id, options)
  if (image.status === 'active') return image
  if (image.status === 'pending') {
    throw new CloudError('IMAGE_HAS_NO_DATA', `Image "${image.name}" (${id}) has no data yet.`)
  }
  throw new CloudError('IMAGE_STATE', `Image "${image.name}" (${id}) is ${image.status}.`)
}

async function create(
  api: NovaApi,
  instance: NewInstance,
  { key, image, signal }: CreateOptions & { image: CloudImage },
): Promise<NovaServer> {
  const { session } = api
  const disk = Math.max(instance.diskSize ?? 0, image.minDisk, Math.ceil((image.virtualSize ?? 0) / GiB))
  const memory = Math.max(instance.memory ?? 0, image.minRam)
  const flavor = await chooseFlavor(session, {
    flavor: instance.flavor,
    cpus: instance.cpus ?? 1,
    memory,
    preferredMemory: memory === 0 ? usualMemory : memory,
    disk: instance.volume ? 0 : disk,
    diskOfImage: !instance.volume && instance.diskSize === undefined,
    signal,
  })
  const networks = await chooseNetworks(session, { network: instance.network, signal })
  const userData = encodedUserData(instance)
  const request = {
    name: instance.name,
    flavorRef: flavor.id,
    networks,
    metadata: { [keyProperty]: key },
    ...(instance.volume ? bootVolume(instance.volume, { image, disk }) : { imageRef: image.id }),
    ...(instance.keyName === undefined ? {} : { key_name: instance.keyName }),
    ...(instance.securityGroups === undefined
      ? {}
      : { security_groups: instance.securityGroups.map((name) => ({ name })) }),
    ...(userData === null ? {} : { user_data: userData }),
    // Without a network there is no metadata service, which cloud-init would wait for.
    ...(networks === 'none' ? { config_drive: true } : {}),
  }
  throwIfCancelled(signal)
  const id = await post(api, request, key)
  return chosenOf(api, key, await api.server(id, { signal }))
}

/** Not interrupted half way, so that what it made is known. */
async function post(api: NovaApi, server: Readonly<Record<string, unknown>>, key: string): Promise<string> {
  try {
    const response = await api.session.request('compute', {
      method: 'POST',
      path: 'servers',
      json: { server },
      microversion: '2.67',
    })
    const answer = await response.json(z.object({ server: z.object({ id: z.string() }) }))
    return answer.server.id
  } catch (error) {
    // The answer was lost, perhaps after the server had been made.
    if (isCode(error, 'CLOUD_UNREACHABLE', 'CLOUD_FAILED', 'CLOUD_ANSWER_INVALID')) {
      const [made] = await findServersByKey(api, key).catch(() => [])
      if (made) return made.id
    }
    throw refusedLaunch(error)
  }
}

/**
 * Another process may have made one with the same key in the meantime. All of them keep the oldest.
 */
async function chosenOf(api: NovaApi, key: string, own: NovaServer): Promise<NovaServer> {
  const [oldest = own] = await findServersByKey(api, key)
  if (oldest.id !== own.id) await terminateServer(api, own.id)
  return oldest
}

async function waitUntilBuilt(api: NovaApi, id: string, { signal }: AbortOptions): Promise<NovaServer> {
  return api.wait(id, {
    what: 'to be built',
    deadline: buildDeadline,
    signal,
    reached: (server) => {
      if (statusOf(server) === 'error') throw failedLaunch(server)
      return statusOf(server) !== 'building' && !isBusy(server)
    },
  })
}

/** The reason for a launch that failed; what it had made is deleted, or named if even that fails. */
async function afterFailure(api: NovaApi, id: string, reason: unknown): Promise<unknown> {
  try {
    await terminateServer(api, id)
    return reason
  } catch (error) {
    const [what, why] = [reason, error].map((each) => (each instanceof Error ? each.message : String(each)))
    return new CloudError('INSTANCE_FAILED', `${what} It could not be deleted: ${why}`, {
      cause: reason,
      hint: `Delete the instance ${id}.`,
      details: { id },
    })
  }
}

function bootVolume(
  { type }: NonNullable<NewInstance['volume']>,
  { image, disk }: { image: CloudImage; disk: number },
) {
  const size = Math.max(disk, Math.ceil((image.size ?? 0) / GiB), 1)
  const mapping = {
    boot_index: 0,
    uuid: image.id,
    source_type: 'image',
    destination_type: 'volume',
    volume_size: size,
    delete_on_termination: true,
    ...(type === undefined ? {} : { volume_type: type }),
  }
  return { block_device_mapping_v2: [mapping] }
}

function encodedUserData({ userData, user, sshKeys }: NewInstance): string | null {
  if (userData === undefined && user === undefined && sshKeys === undefined) return null
  const encoded = Buffer.from(
    userData ?? cloudConfig({ ...(user ? { user } : {}), ...(sshKeys ? { sshKeys } : {}) }),
  ).toString('base64')
  if (encoded.length <= longestUserData) return encoded
  throw new CloudError('INSTANCE_INVALID', 'The user data is longer than the 48 KiB that OpenStack takes.')
}

/** Nova tells most of what is wrong with a request by its words alone. */
function refusedLaunch(error: unknown): unknown {
  if (!isCode(error, 'CLOUD_REFUSED')) return error
  const options = { cause: error, details: error.details }
  if (/can not find requested image/i.test(error.message)) {
    return new CloudError('IMAGE_NOT_FOUND', error.message, options)
  }
  if (error.details.status !== 400) return error
  return new CloudError('INSTANCE_INVALID', error.message, options)
}

function failedLaunch(server: NovaServer): CloudError {
  const reason = server.fault?.message ?? 'The cloud does not say why.'
  const message = `The instance "${server.name}" was not started: ${reason}`
  const details = { id: server.id }
  if (/no valid host/i.test(reason)) {
    return new CloudError('INSTANCE_NO_HOST', message, {
      hint: 'Take a smaller flavor, or one that fits properties of the image such as its architecture; or try again later.',
      details,
    })
  }
  if (/quota/i.test(reason)) return new CloudError('CLOUD_QUOTA', message, { details })
  if (/image\b.*(not be found|not found|deleted|not active)/i.test(reason)) {
    return new CloudError('IMAGE_NOT_FOUND', message, { details })
  }
  return new CloudError('INSTANCE_FAILED', message, { details })
}

import { randomUUID } from 'node:crypto'
import type { Cloud, CloudInstance, InstanceAddress, NewInstance } from '../clouds/cloud.ts'
import type { AbortOptions } from '../core/abort.ts'
import type { CloudAccess } from './cloud-access.ts'
import { collect, findImage, findInstance } from './find.ts'
import { parseCloudReference } from './reference.ts'
import { type WaitForSshOptions, waitForSsh } from './wait-for-ssh.ts'

export type InstanceWithAddress = CloudInstance & { readonly address: InstanceAddress | null }

/** The instances of any cloud, by reference: `CLOUD:ID` or `CLOUD:NAME` with an exact name. */
export interface Instances {
  list(cloud: string, options?: AbortOptions): Promise<CloudInstance[]>
  show(reference: string, options?: AbortOptions): Promise<InstanceWithAddress>
  /** Starts an instance from an image, given by reference. */
  launch(
    image: string,
    instance: Omit<NewInstance, 'imageId'>,
    options?: AbortOptions,
  ): Promise<InstanceWithAddress>
  /** Waits until its SSH server greets, and shows where. */
  waitForSsh(reference: string, options?: WaitForSshOptions): Promise<InstanceWithAddress>
  start(reference: string, options?: AbortOptions): Promise<InstanceWithAddress>
  /** Asks the guest to shut down; cuts the power after `deadline` milliseconds, or the cloud's own time. */
  stop(reference: string, options?: AbortOptions & { deadline?: number }): Promise<InstanceWithAddress>
  /** The last bytes of the serial console. */
  console(reference: string, options?: AbortOptions & { maximumBytes?: number }): Promise<string>
  /** Gives the id of what was terminated. */
  terminate(reference: string, options?: AbortOptions): Promise<string>
}

export function openInstances(clouds: CloudAccess): Instances {
  async function locate(reference: string, options: AbortOptions) {
    const { cloud: name, thing } = parseCloudReference(reference)
    const cloud = await clouds.get(name)
    return { cloud, service: cloud.instances, instance: await findInstance(cloud, thing, options) }
  }
  return {
    list: async (cloud, options = {}) => collect((await clouds.get(cloud)).instances.list(options)),
    async show(reference, options = {}) {
      const { cloud, instance } = await locate(reference, options)
      return withAddress(cloud, instance, options)
    },
    async launch(image, instance, options = {}) {
      const { cloud: name, thing } = parseCloudReference(image)
      const cloud = await clouds.get(name)
      const { id: imageId } = await findImage(cloud, thing, options)
      const launched = await cloud.instances.launch(
        { ...instance, imageId },
        { key: randomUUID(), ...options },
      )
      return withAddress(cloud, launched, options)
    },
    async waitForSsh(reference, options = {}) {
      const { cloud, service, instance } = await locate(reference, options)
      const address = await waitForSsh(cloud, instance.id, options)
      return { ...(await service.get(instance.id, options)), address }
    },
    async start(reference, options = {}) {
      const { cloud, service, instance } = await locate(reference, options)
      return withAddress(cloud, await service.start(instance.id, options), options)
    },
    async stop(reference, options = {}) {
      const { cloud, service, instance } = await locate(reference, options)
      return withAddress(cloud, await service.stop(instance.id, options), options)
    },
    async console(reference, options = {}) {
      const { service, instance } = await locate(reference, options)
      return service.console(instance.id, options)
    },
    async terminate(reference, options = {}) {
      const { service, instance } = await locate(reference, options)
      await service.terminate(instance.id, options)
      return instance.id
    },
  }
}

async function withAddress(
  cloud: Cloud,
  instance: CloudInstance,
  options: AbortOptions,
): Promise<InstanceWithAddress> {
  return { ...instance, address: await cloud.instances.address(instance.id, options) }
}

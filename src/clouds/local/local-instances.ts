import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AbortOptions } from '../../core/abort.ts'
import type { CloudInstance, InstanceService, NewInstance } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import { cloudInitSeed } from './cloud-init-seed.ts'
import { thawForgotten } from './guest-agent.ts'
import { hypervisorVersion } from './hypervisor.ts'
import type { ImageRecord } from './image-record.ts'
import { baseFormat, createInstanceDisk, newDiskSize } from './instance-disk.ts'
import type { InstanceRecord } from './instance-record.ts'
import { found, type LocalStores, readable } from './local-images.ts'
import { cutPower, machineStatus, readConsole, startMachine, stopMachine } from './machine.ts'
import { processState } from './machine-process.ts'
import { snapshotInstance } from './snapshot-instance.ts'
import { isUnreadable, type UnreadableThing } from './thing-store.ts'

const defaultMemory = 1024
const defaultConsoleBytes = 64 * 1024

/** The instances of the embedded cloud: QEMU machines that go on without us, and the disks of stopped ones. */
export function localInstances(stores: LocalStores, { hypervisor }: { hypervisor: string }): InstanceService {
  const { instances } = stores

  async function get(id: string): Promise<CloudInstance> {
    return toCloudInstance(stores, existing(await instances.find(id), id))
  }

  /** Runs `run` with the record and its lock, everything a dead process left undone made good first. */
  function locked<T>(
    id: string,
    run: (record: InstanceRecord) => Promise<T>,
    options: AbortOptions = {},
  ): Promise<T> {
    const guarded = async (record: InstanceRecord | null) => {
      const known = existing(record, id)
      if (await isRunning(known)) await thawForgotten(instances.pathOf(id))
      return run(known)
    }
    return instances.locked(id, guarded, options)
  }

  async function isRunning({ id }: InstanceRecord): Promise<boolean> {
    return (await processState(instances.pathOf(id), id)).state === 'running'
  }

  async function start(record: InstanceRecord, { signal }: AbortOptions): Promise<void> {
    if (await isRunning(record)) return
    try {
      await instances.save(await startMachine(stores, record, { hypervisor, signal }))
    } catch (error) {
      if (error instanceof CloudError)
        await instances.save({ ...record, hostBoot: null, fault: error.message })
      throw error
    }
  }

  return {
    async *list() {
      for (const thing of await instances.list()) {
        yield isUnreadable(thing) ? unreadableInstance(thing) : await toCloudInstance(stores, thing)
      }
    },

    get,

    async launch(instance, { key, signal }) {
      const wanted = instance.start ?? true
      const before = await instances.findByKey(key)
      // Before anything is made: without the program there will be no instance.
      if (wanted && !before) await hypervisorVersion({ hypervisor, signal })
      const record = before ?? (await createInstance(stores, instance, { key, signal }))
      // A call before this one may have been killed before it came to start the machine.
      const neverStarted = record.hostBoot === null
      if (wanted && neverStarted) await locked(record.id, (current) => start(current, { signal }), { signal })
      return get(record.id)
    },

    async findByKey(key) {
      const record = await instances.findByKey(key)
      return record && toCloudInstance(stores, record)
    },

    async start(id, options = {}) {
      await locked(id, (record) => start(record, options), options)
      return get(id)
    },

    async stop(id, options = {}) {
      const stop = async (record: InstanceRecord) => {
        if (await isRunning(record)) await stopMachine(stores, record, options)
      }
      await locked(id, stop, options)
      return get(id)
    },

    snapshot: (id, snapshot, options) =>
      locked(id, (record) => snapshotInstance(stores, record, snapshot, options), options),

    async releaseSnapshot() {
      // A killed process leaves nothing but scratch folders, which the next one clears away.
    },

    async address(id) {
      const record = existing(await instances.find(id), id)
      if (record.sshPort === null || !(await isRunning(record))) return null
      return { host: '127.0.0.1', port: record.sshPort }
    },

    async console(id, { maximumBytes = defaultConsoleBytes } = {}) {
      existing(await instances.find(id), id)
      return readConsole(instances.pathOf(id), maximumBytes)
    },

    async terminate(id, options = {}) {
      const terminate = async () => {
        await cutPower(instances.pathOf(id), id)
        await instances.remove(id)
      }
      await instances.ifThere(id, terminate, options)
    },
  }
}

async function createInstance(
  stores: LocalStores,
  instance: NewInstance,
  { key, signal }: AbortOptions & { key: string },
): Promise<InstanceRecord> {
  const create = async (image: ImageRecord | null) => {
    const base = usableImage(image, instance.imageId)
    const size = newDiskSize(base, instance)
    return stores.instances.create(key, {
      record: (id, createdAt) => newRecord(instance, { id, key, createdAt, image: base }),
      async prepare(path, { id }) {
        await createInstanceDisk(join(path, 'disk.qcow2'), { image: base, size, signal })
        await writeFile(join(path, 'seed.img'), cloudInitSeed(id, instance), { mode: 0o600 })
      },
    })
  }
  // Under the image's lock, so that the image is not deleted between the look at it and the instance's existence.
  return stores.images.locked(instance.imageId, create, { signal })
}

function newRecord(
  instance: NewInstance,
  { id, key, createdAt, image }: { id: string; key: string; createdAt: string; image: ImageRecord },
): InstanceRecord {
  refuseUnknown(instance)
  return {
    version: 1,
    id,
    key,
    name: instance.name,
    imageId: image.id,
    imageFormat: baseFormat(image),
    createdAt,
    cpus: positive(instance.cpus ?? 1, 'processors'),
    memory: positive(instance.memory ?? Math.max(defaultMemory, image.minRam), 'MiB of memory'),
    network: networkOf(instance),
    sshPort: null,
    hostBoot: null,
    fault: null,
    properties: {},
  }
}

function refuseUnknown({ flavor, keyName, securityGroups, volume }: NewInstance): void {
  const unsupported = (what: string, hint: string) =>
    new CloudError('CLOUD_UNSUPPORTED', `The embedded cloud has no ${what}.`, { hint })
  if (flavor !== undefined) {
    throw unsupported('flavors', 'Say how many processors and how much memory the instance shall have.')
  }
  if (keyName !== undefined) throw unsupported('key pairs', 'Give the public key itself.')
  if (securityGroups !== undefined) throw unsupported('security groups', 'Leave them out.')
  if (volume !== undefined) throw unsupported('volumes', 'Leave it out: an instance has a disk of its own.')
}

/** `isolated`: the guest reaches nothing but is reached by SSH; for guests that are only looked at. */
function networkOf({ network = 'user' }: NewInstance): InstanceRecord['network'] {
  if (network === 'user' || network === 'isolated') return network
  throw new CloudError('CLOUD_UNSUPPORTED', `The embedded cloud has no network "${network}".`, {
    hint: 'Use "user" or "isolated".',
  })
}

function positive(value: number, what: string): number {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new CloudError('INSTANCE_INVALID', `An instance cannot have ${value} ${what}.`)
}

function usableImage(image: ImageRecord | null, id: string): ImageRecord {
  return readable(found(image, id))
}

/** @throws CloudError `INSTANCE_NOT_FOUND` when the record is null */
function existing(record: InstanceRecord | null, id: string): InstanceRecord {
  if (record) return record
  throw new CloudError('INSTANCE_NOT_FOUND', `There is no instance ${id}.`)
}

async function toCloudInstance(stores: LocalStores, record: InstanceRecord): Promise<CloudInstance> {
  const { id, name, imageId, createdAt, cpus, memory, network } = record
  const properties = { ...record.properties, cpus: String(cpus), memory: String(memory), network }
  return { id, name, imageId, createdAt, properties, ...(await machineStatus(stores, record)) }
}

function unreadableInstance({ id, unreadable }: UnreadableThing): CloudInstance {
  return {
    id,
    name: id,
    status: 'error',
    imageId: null,
    createdAt: new Date(0).toISOString(),
    fault: unreadable.message,
    properties: {},
  }
}

import { z } from 'zod'
import type { CloudInstance, InstanceStatus } from '../cloud.ts'
import { keyProperty } from './image-key.ts'

/** A server as `GET /servers/{id}` shows it from microversion 2.47 on; older clouds leave the flavor's figures out. */
export const serverShape = z.object({
  id: z.string(),
  name: z.string().nullish(),
  status: z.string(),
  created: z.string(),
  /** An empty string when its disk is a volume. */
  image: z.union([z.literal(''), z.object({ id: z.string() })]).nullish(),
  flavor: z.object({
    original_name: z.string().optional(),
    vcpus: z.number().optional(),
    ram: z.number().optional(),
    disk: z.number().optional(),
  }),
  addresses: z
    .record(
      z.string(),
      z.array(
        z.object({
          addr: z.string(),
          version: z.number(),
          'OS-EXT-IPS:type': z.string().optional(),
        }),
      ),
    )
    .default({}),
  accessIPv4: z.string().default(''),
  accessIPv6: z.string().default(''),
  metadata: z.record(z.string(), z.string()).default({}),
  fault: z.object({ message: z.string() }).optional(),
  key_name: z.string().nullish(),
  'OS-EXT-STS:task_state': z.string().nullish(),
  'OS-EXT-AZ:availability_zone': z.string().nullish(),
  'os-extended-volumes:volumes_attached': z.array(z.object({ id: z.string() })).default([]),
})

export type NovaServer = z.infer<typeof serverShape>

const statuses: Readonly<Record<string, InstanceStatus>> = {
  ACTIVE: 'running',
  BUILD: 'building',
  ERROR: 'error',
  HARD_REBOOT: 'running',
  MIGRATING: 'running',
  PASSWORD: 'running',
  PAUSED: 'paused',
  REBOOT: 'running',
  REBUILD: 'building',
  RESCUE: 'running',
  RESIZE: 'building',
  REVERT_RESIZE: 'building',
  SHELVED: 'shelved',
  SHELVED_OFFLOADED: 'shelved',
  SHUTOFF: 'stopped',
  SUSPENDED: 'suspended',
  VERIFY_RESIZE: 'running',
}

export function statusOf({ status }: NovaServer): InstanceStatus {
  return statuses[status] ?? 'error'
}

/** Whether it is on its way out: it is still shown, and is as good as gone. */
export function isDeleted({ status }: NovaServer): boolean {
  return status === 'DELETED' || status === 'SOFT_DELETED'
}

/** Whether its root disk is a volume of Cinder. */
export function isVolumeBacked({ image }: NovaServer): boolean {
  return typeof image !== 'object' || image === null
}

export function nameOf({ name, id }: NovaServer): string {
  return name ?? id
}

export function toCloudInstance(server: NovaServer): CloudInstance {
  const { id, image, created } = server
  return {
    id,
    name: nameOf(server),
    status: statusOf(server),
    imageId: typeof image === 'object' && image !== null ? image.id : null,
    createdAt: created,
    fault: faultOf(server),
    properties: propertiesOf(server),
  }
}

function faultOf(server: NovaServer): string | null {
  if (statusOf(server) !== 'error') return null
  return server.fault?.message ?? (server.status === 'ERROR' ? null : `Its state is ${server.status}.`)
}

function propertiesOf(server: NovaServer): Record<string, string> {
  const { [keyProperty]: _, ...metadata } = server.metadata
  const { original_name: flavor, vcpus, ram, disk } = server.flavor
  const known = {
    flavor,
    cpus: vcpus?.toString(),
    memory: ram?.toString(),
    disk: disk?.toString(),
    key_pair: server.key_name ?? undefined,
    availability_zone: server['OS-EXT-AZ:availability_zone'] || undefined,
    addresses: Object.entries(server.addresses)
      .flatMap(([network, addresses]) => addresses.map(({ addr }) => `${network}=${addr}`))
      .join(', '),
    volumes: server['os-extended-volumes:volumes_attached'].map(({ id }) => id).join(', '),
  }
  const shown = Object.entries(known).flatMap(([name, value]) => (value ? [[name, value]] : []))
  return { ...metadata, ...Object.fromEntries(shown) }
}

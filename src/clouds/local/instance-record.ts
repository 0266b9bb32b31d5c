import { z } from 'zod'

/** What `instance.json` holds. Whether it runs is not in it: that is asked of the machine. */
export const instanceRecordSchema = z.strictObject({
  version: z.literal(1),
  id: z.string(),
  key: z.string(),
  name: z.string(),
  imageId: z.string(),
  imageFormat: z.enum(['qcow2', 'raw']),
  createdAt: z.iso.datetime(),
  cpus: z.number().int().positive(),
  /** MiB. */
  memory: z.number().int().positive(),
  network: z.enum(['user', 'isolated']),
  /** The loopback port SSH is forwarded from; null before the first start. */
  sshPort: z.number().int().positive().nullable(),
  /** The boot of the host in which it was last started: a process of an earlier one cannot have failed. */
  hostBoot: z.string().nullable(),
  /** Why the last start failed. */
  fault: z.string().nullable(),
  properties: z.record(z.string(), z.string()),
})

export type InstanceRecord = z.infer<typeof instanceRecordSchema>

import { z } from 'zod'
import { diskBuses, firmwares, nicModels } from '../disk/ova/machine.ts'
import { manifestAlgorithms } from '../disk/ova/manifest.ts'

/** What an appliance is to say about its machine, as a job keeps it; everything else is told from the guest. */
export const machineInput = z.strictObject({
  /** For people; by default the source's, or the file's. */
  name: z.string().min(1).max(200).exactOptional(),
  cpus: z.number().int().min(1).max(1024).exactOptional(),
  /** MiB. */
  memory: z.number().int().min(4).max(16_777_216).exactOptional(),
  firmware: z.enum(firmwares).exactOptional(),
  diskBus: z.enum(diskBuses).exactOptional(),
  nic: z.enum(nicModels).exactOptional(),
  /** Of what is installed. */
  version: z.string().min(1).max(200).exactOptional(),
  vendor: z.string().min(1).max(200).exactOptional(),
  /** Text for people, told beside where the disk comes from. */
  annotation: z.string().max(10_000).exactOptional(),
  /** Digests of the manifest. */
  manifest: z.enum(manifestAlgorithms).exactOptional(),
})

export type MachineInput = z.infer<typeof machineInput>

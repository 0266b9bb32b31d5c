import { z } from 'zod'
import type { StoreImageOptions } from './store-image.ts'

/** What is said of an uploaded image beside its data and who may see it, as a job keeps it. */
export const imageRecordInput = z.strictObject({
  /**
   * A format in the cloud's own words, other than those that can be written: the data are checked to be no disk image in
   * disguise, and stored as they are.
   */
  diskFormat: z.string().optional(),
  /** How it is wrapped, in the cloud's own word; its usual one when absent. */
  container: z.string().optional(),
  /** The id it is to have. */
  id: z.string().optional(),
  /** GiB; at least what the disk needs. */
  minDisk: z.number().int().nonnegative().default(0),
  /** MiB. */
  minRam: z.number().int().nonnegative().default(0),
  hidden: z.boolean().default(false),
})

export type RecordInput = z.infer<typeof imageRecordInput>

/** What the record of a new image has that does not follow from its data, for `storeImage`. */
export function describedBy({
  id,
  container,
  minDisk,
  minRam,
  hidden,
}: RecordInput): Pick<StoreImageOptions, 'id' | 'container' | 'described'> {
  return {
    ...(id ? { id } : {}),
    ...(container ? { container } : {}),
    described: { properties: {}, tags: [], minDisk, minRam, hidden },
  }
}

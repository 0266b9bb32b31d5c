import { z } from 'zod'
import { outputFormats } from '../disk/write-disk.ts'

export const visibilities = ['private', 'shared', 'community', 'public'] as const

/** How and for whom an image is stored, as a job keeps it. */
export const storageInput = z.strictObject({
  /** Container format; the cloud's preferred one when absent. */
  format: z.enum(outputFormats).optional(),
  /** A kind of the format; the usual one when absent. */
  subformat: z.string().optional(),
  compression: z.enum(['zlib', 'zstd']).optional(),
  visibility: z.enum(visibilities).default('private'),
  members: z.array(z.string()).default([]),
  /** They win over those that are carried over from the source. */
  properties: z.record(z.string(), z.string()).default({}),
  tags: z.array(z.string()).default([]),
  protected: z.boolean().default(false),
  /** Go on without the properties that the cloud refuses, and say which they were. */
  skipForbiddenProperties: z.boolean().default(false),
  /**
   * How what was stored is proved: by the checksums of a cloud that computes its own, or always by reading everything back.
   * A cloud without checksums is read back in any case.
   */
  verify: z.enum(['checksum', 'read-back']).default('checksum'),
  /** Start an instance of the new image and wait for its login before it is published. */
  bootTest: z.boolean().default(false),
  allowDuplicateName: z.boolean().default(false),
})

export type StorageInput = z.infer<typeof storageInput>

import { z } from 'zod'
import { cleaningInput } from './cleaning-input.ts'
import { storageInput, visibilities } from './storage-input.ts'

export const migrateImageInput = z.strictObject({
  cloud: z.string(),
  /** An image by id or exact name, or an instance when no image has that id or name. */
  thing: z.string(),
  target: z.string(),
  /** The source's own name when absent. */
  name: z.string().min(1).optional(),
  clean: cleaningInput.nullable().default(null),
  /** Absent visibility and members: those of the source when it is synchronised, private otherwise. */
  storage: storageInput
    .extend({ visibility: z.enum(visibilities).optional(), members: z.array(z.string()).optional() })
    .prefault({}),
  /** Give the new image the id of its source. */
  sameId: z.boolean().default(false),
  /** Bring an image that was migrated before to the source's state; copy its data only where they differ. */
  sync: z.boolean().default(false),
  /** How what is read of the source is proved; see `openImageDisk`. */
  sourceProof: z.enum(['full', 'used']).optional(),
  /** Of an instance: keep the snapshot that is taken. */
  keepSnapshot: z.boolean().default(false),
})

export type MigrateImageInput = z.infer<typeof migrateImageInput>

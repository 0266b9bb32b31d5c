import { z } from 'zod'

/** How to clean, as a job stores it. `null` in its place means: not at all. */
export const cleaningInput = z.strictObject({
  profile: z.string().default('default'),
  /** Ids of operations beside the profile's. */
  enable: z.array(z.string()).default([]),
  disable: z.array(z.string()).default([]),
  /** Globs of paths to remove as well. */
  exclude: z.array(z.string()).default([]),
  /** Globs of paths to leave alone whatever the operations say. */
  keep: z.array(z.string()).default([]),
})

export type CleaningInput = z.infer<typeof cleaningInput>

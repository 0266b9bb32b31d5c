import { z } from 'zod'
import { profileDefinition } from '../guest/cleaning/profile-definition.ts'

/** How to clean, as a job stores it. `null` in its place means: not at all. */
export const cleaningInput = z.strictObject({
  /** A built-in profile, or one of `definitions`. */
  profile: z.string().default('default'),
  /** Profiles of the caller's own, by name: the content of files, so that a job does not need them again. */
  definitions: z.record(z.string(), profileDefinition).default({}),
  /** Ids of operations beside the profile's. */
  enable: z.array(z.string()).default([]),
  disable: z.array(z.string()).default([]),
  /** Globs of paths to remove as well. */
  exclude: z.array(z.string()).default([]),
  /** Globs of paths to leave alone whatever the operations say. */
  keep: z.array(z.string()).default([]),
  /** Accounts to remove, with homes, mail and cron tables. */
  removeUsers: z.array(z.string()).default([]),
  /** Nobody signs in as root with a password. */
  lockRoot: z.boolean().default(false),
  /** Public keys of SSH that may sign in, each one line of authorized_keys(5). */
  sshKeys: z.array(z.strictObject({ user: z.string().default('root'), key: z.string() })).default([]),
  /** Put the SHA-256 of what is removed into the report. */
  hashRemoved: z.boolean().default(false),
})

export type CleaningInput = z.infer<typeof cleaningInput>
export type CleaningRequest = z.input<typeof cleaningInput>

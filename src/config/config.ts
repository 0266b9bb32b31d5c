import { z } from 'zod'
import type { Folders } from './folders.ts'

const cloudName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'a name of letters, digits, dot, dash and underscore')

/** The settings of one cloud. One member per kind of cloud. */
export const cloudSettingsSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('local'),
    /** Folder the cloud lives in; relative to the configuration file. */
    folder: z.string().min(1),
  }),
])

export const configFileSchema = z.strictObject({
  clouds: z.record(cloudName, cloudSettingsSchema).default({}),
})

export type CloudSettings = z.infer<typeof cloudSettingsSchema>
export type ConfigFile = z.infer<typeof configFileSchema>

/** Everything the configuration says, with defaults filled in and paths made absolute. */
export interface Config {
  readonly folders: Folders
  /** The file that was read, or the one that would be written. */
  readonly path: string
  readonly clouds: Readonly<Record<string, CloudSettings>>
}

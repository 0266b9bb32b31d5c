import { z } from 'zod'
import type { Folders } from './folders.ts'
import type { OpenStackSettings } from './openstack-settings.ts'

/** What a cloud may be called: it stands before the colon of `CLOUD:IMAGE`. */
export const cloudName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'a name of letters, digits, dot, dash and underscore')

const text = z.string().min(1)

const localEntry = z.strictObject({
  type: z.literal('local'),
  /** Folder the cloud lives in; relative to the configuration file. */
  folder: text,
})

/** The names are those of `clouds.yaml`, except for `cloud` and `region`. */
const openStackEntry = z.strictObject({
  type: z.literal('openstack'),
  /** Entry of `clouds.yaml` to build on. */
  cloud: text.optional(),
  region: text.optional(),
  profile: text.optional(),
  auth_type: text.optional(),
  auth: z
    .strictObject({
      auth_url: text,
      username: text,
      user_id: text,
      user_domain_id: text,
      user_domain_name: text,
      password: text,
      project_id: text,
      project_name: text,
      project_domain_id: text,
      project_domain_name: text,
      domain_id: text,
      domain_name: text,
      trust_id: text,
      token: text,
      application_credential_id: text,
      application_credential_name: text,
      application_credential_secret: text,
    })
    .partial()
    .optional(),
  interface: z.union([text, z.array(text)]).optional(),
  verify: z.boolean().optional(),
  cacert: text.optional(),
  cert: text.optional(),
  key: text.optional(),
  /** Seconds. */
  api_timeout: z.number().positive().optional(),
  identity_endpoint_override: z.url().optional(),
  image_endpoint_override: z.url().optional(),
  compute_endpoint_override: z.url().optional(),
  network_endpoint_override: z.url().optional(),
  block_storage_endpoint_override: z.url().optional(),
})

/** One cloud as the file has it. One member per kind of cloud. */
export const cloudEntrySchema = z.discriminatedUnion('type', [localEntry, openStackEntry])

export const configFileSchema = z.strictObject({
  clouds: z.record(cloudName, cloudEntrySchema).default({}),
})

export type LocalEntry = z.infer<typeof localEntry>
export type OpenStackEntry = z.infer<typeof openStackEntry>
export type CloudEntry = z.infer<typeof cloudEntrySchema>
export type ConfigFile = z.infer<typeof configFileSchema>

/** The settings of an embedded cloud; `folder` is absolute. */
export type LocalSettings = LocalEntry

/** The settings of a cloud, with everything put together that says something about it. */
export type CloudSettings = LocalSettings | OpenStackSettings

/** Everything the configuration says, with defaults filled in and paths made absolute. */
export interface Config {
  readonly folders: Folders
  /** The file that was read, or the one that would be written. */
  readonly path: string
  readonly clouds: Readonly<Record<string, CloudSettings>>
  /** Files and clouds that were passed over, and why, in sentences. */
  readonly problems: readonly string[]
}

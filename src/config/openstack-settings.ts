import type { Secret } from './secret.ts'

/**
 * How to sign in to an OpenStack cloud, after `clouds.yaml`, `secure.yaml`, profiles, variables and the project's own
 * configuration have been put together. The keys of `auth` are those of `clouds.yaml`.
 */
export interface OpenStackSettings {
  readonly type: 'openstack'
  /** Where the settings come from, for messages: paths of files, or the variables. */
  readonly origin?: string
  /** What is wrong with the settings; whoever uses them is told, nobody else. */
  readonly problem?: string
  /** As written: `password`, `v3token`, `v3applicationcredential`, ...; what `auth` suggests when absent. */
  readonly authType?: string
  readonly auth: OpenStackAuth
  /** The region to be used. May be absent where the catalogue has only one. */
  readonly region?: string
  /** Which endpoints of the catalogue are used, the preferred one first; public when absent. */
  readonly interfaces?: readonly string[]
  /** What is different for single services. */
  readonly services?: Readonly<Partial<Record<OpenStackService, OpenStackServiceSettings>>>
  /** False: a certificate that nobody vouches for is accepted. */
  readonly verify?: boolean
  /** PEM file with the authorities to trust instead of the system's. */
  readonly cacert?: string
  /** PEM files of a client certificate and its key; the key may be in the file of the certificate. */
  readonly cert?: string
  readonly key?: string
  /** Seconds a server may take to answer. */
  readonly timeout?: number
}

/** Services by the types of the OpenStack service-types authority. */
export type OpenStackService = 'identity' | 'image' | 'compute' | 'network' | 'block-storage'

export interface OpenStackServiceSettings {
  /** Used instead of what the catalogue says. */
  readonly endpoint?: string
  readonly region?: string
  readonly interfaces?: readonly string[]
}

export interface OpenStackAuth {
  readonly auth_url?: string
  readonly username?: string
  readonly user_id?: string
  readonly user_domain_id?: string
  readonly user_domain_name?: string
  readonly password?: Secret
  readonly project_id?: string
  readonly project_name?: string
  readonly project_domain_id?: string
  readonly project_domain_name?: string
  readonly default_domain_id?: string
  readonly default_domain_name?: string
  readonly domain_id?: string
  readonly domain_name?: string
  readonly system_scope?: string
  readonly trust_id?: string
  readonly token?: Secret
  readonly application_credential_id?: string
  readonly application_credential_name?: string
  readonly application_credential_secret?: Secret
}

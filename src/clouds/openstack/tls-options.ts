import { readFile } from 'node:fs/promises'
import { type ConnectionOptions, getCACertificates } from 'node:tls'
import type { OpenStackSettings } from '../../config/openstack-settings.ts'
import { CloudError } from '../errors.ts'

export type TlsOptions = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'rejectUnauthorized'>

/**
 * Whom a cloud's connections trust, and how they prove who they are.
 * @throws CloudError `CLOUD_CREDENTIALS_INVALID` naming the file that cannot be read
 */
export async function tlsOptions(cloudName: string, settings: OpenStackSettings): Promise<TlsOptions> {
  const { verify = true, cert, key = cert } = settings
  const ca = verify ? await authorities(cloudName, settings) : undefined
  return {
    ...(verify ? {} : { rejectUnauthorized: false }),
    ...(ca ? { ca } : {}),
    ...(cert ? { cert: await readPem(cloudName, 'cert', cert) } : {}),
    ...(key ? { key: await readPem(cloudName, 'key', key) } : {}),
  }
}

/**
 * The system's authorities as well as those that come with Node: a campus adds its own to the system. Reading the
 * system's takes a tenth of a second, which plain http is spared.
 */
async function authorities(
  cloudName: string,
  { cacert, auth }: OpenStackSettings,
): Promise<string | string[] | undefined> {
  if (cacert) return readPem(cloudName, 'cacert', cacert)
  if (!auth.auth_url?.startsWith('https:')) return undefined
  return [...getCACertificates('default'), ...getCACertificates('system')]
}

async function readPem(cloudName: string, what: string, path: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8')
    if (text.includes('-----BEGIN ')) return text
  } catch (error) {
    throw new CloudError(
      'CLOUD_CREDENTIALS_INVALID',
      `Cloud "${cloudName}": its ${what} ${path} cannot be read.`,
      {
        cause: error,
      },
    )
  }
  throw new CloudError(
    'CLOUD_CREDENTIALS_INVALID',
    `Cloud "${cloudName}": its ${what} ${path} is no PEM file.`,
  )
}

import { readFile } from 'node:fs/promises'
import type { ConnectionOptions } from 'node:tls'
import type { OpenStackSettings } from '../../config/openstack-settings.ts'
import { CloudError } from '../errors.ts'

type TlsOptions = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'rejectUnauthorized'>

/**
 * Whom a cloud's connections trust, and how they prove who they are.
 * @throws CloudError `CLOUD_CREDENTIALS_INVALID` naming the file that cannot be read
 */
export async function tlsOptions(cloudName: string, settings: OpenStackSettings): Promise<TlsOptions> {
  const { verify = true, cacert, cert, key = cert } = settings
  return {
    ...(verify ? {} : { rejectUnauthorized: false }),
    ...(verify && cacert ? { ca: await readPem(cloudName, 'cacert', cacert) } : {}),
    ...(cert ? { cert: await readPem(cloudName, 'cert', cert) } : {}),
    ...(key ? { key: await readPem(cloudName, 'key', key) } : {}),
  }
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

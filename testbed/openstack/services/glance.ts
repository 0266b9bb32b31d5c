import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { serviceSignIn, tokenChecks, writeConfiguration } from '../configuration.ts'
import { databaseUrl, type Provider } from '../provider.ts'
import { waitForHttp } from '../ready.ts'
import type { Sandbox } from '../sandbox.ts'

/** Starts Glance with a folder as its store, and quotas that Keystone knows; `endpointId` is its own in the catalogue. */
export async function startGlance(sandbox: Sandbox, provider: Provider, endpointId: string): Promise<void> {
  const { folder, ports } = provider
  const [images, staging, tasks] = ['images', 'staging', 'tasks'].map((name) => join(folder, 'glance', name))
  for (const path of [images, staging, tasks]) if (path) await mkdir(path, { recursive: true })
  const path = await writeConfiguration(provider, 'glance', {
    DEFAULT: {
      bind_host: '127.0.0.1',
      bind_port: ports.image,
      workers: 0,
      enabled_backends: 'folder:file',
      enabled_import_methods: '[glance-direct,web-download,copy-image]',
      use_keystone_limits: true,
      // With `oslo_policy` below: makes the role `reader` mean what it says.
      enforce_secure_rbac: true,
    },
    database: { connection: databaseUrl(provider, 'glance') },
    glance_store: { default_backend: 'folder' },
    folder: { filesystem_store_datadir: images ?? '' },
    os_glance_staging_store: { filesystem_store_datadir: staging ?? '' },
    os_glance_tasks_store: { filesystem_store_datadir: tasks ?? '' },
    image_format: { disk_formats: 'ami,ari,aki,vhd,vhdx,vmdk,raw,qcow2,vdi,iso,ploop' },
    keystone_authtoken: tokenChecks(provider),
    oslo_limit: { ...limitReader(provider), endpoint_id: endpointId },
    oslo_policy: { enforce_new_defaults: true },
    paste_deploy: { flavor: 'keystone', config_file: '/etc/glance/glance-api-paste.ini' },
    oslo_concurrency: { lock_path: join(folder, 'lock') },
  })
  const daemon = await sandbox.start('glance', { command: ['glance-api', '--config-file', path] })
  await waitForHttp(ports.image, daemon)
}

/** Limits of all projects are read with a right on the whole system instead of a project. */
function limitReader(provider: Provider) {
  const { project_name, project_domain_name, region_name, ...account } = serviceSignIn(provider)
  return { ...account, system_scope: 'all' }
}

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { serviceSignIn, tokenChecks, writeConfiguration } from '../configuration.ts'
import { computeHost, databaseUrl, type Provider, queueUrl } from '../provider.ts'
import { waitForHttp } from '../ready.ts'
import type { Sandbox } from '../sandbox.ts'

/** Starts Nova with guests in QEMU, always emulated: hardware virtualisation may be there and hang. */
export async function startNova(sandbox: Sandbox, provider: Provider): Promise<void> {
  const { ports } = provider
  const path = await writeConfiguration(provider, 'nova', novaConfiguration(provider))
  await mkdir(join(provider.folder, 'nova', 'instances'), { recursive: true })
  const options = ['--config-file', path] as const
  await sandbox.start('nova-conductor', { command: ['nova-conductor', ...options] })
  await sandbox.start('nova-scheduler', { command: ['nova-scheduler', ...options] })
  await sandbox.start('nova-compute', { command: ['nova-compute', ...options] })
  const api = await sandbox.start('nova-api', { command: ['nova-api', ...options] })
  await waitForHttp(ports.compute, api)
}

function novaConfiguration(provider: Provider) {
  const { folder, name, ports } = provider
  const privileged = { helper_command: `privsep-helper --config-file ${join(folder, 'etc', 'nova.conf')}` }
  return {
    DEFAULT: {
      transport_url: queueUrl(provider),
      my_ip: '127.0.0.1',
      host: computeHost,
      state_path: join(folder, 'nova'),
      instances_path: join(folder, 'nova', 'instances'),
      instance_name_template: `${name}-%08x`,
      compute_driver: 'libvirt.LibvirtDriver',
      enabled_apis: 'osapi_compute',
      osapi_compute_listen: '127.0.0.1',
      osapi_compute_listen_port: ports.compute,
      osapi_compute_workers: 1,
      vif_plugging_is_fatal: false,
      vif_plugging_timeout: 0,
      force_config_drive: true,
      initial_disk_allocation_ratio: 16,
      reserved_host_memory_mb: 0,
      resume_guests_state_on_host_boot: false,
    },
    api: { auth_strategy: 'keystone' },
    api_database: { connection: databaseUrl(provider, 'nova_api') },
    database: { connection: databaseUrl(provider, 'nova') },
    conductor: { workers: 1 },
    scheduler: { workers: 1 },
    keystone_authtoken: tokenChecks(provider),
    service_user: { ...serviceSignIn(provider), send_service_user_token: true },
    placement: serviceSignIn(provider),
    neutron: serviceSignIn(provider),
    glance: { api_servers: `http://127.0.0.1:${ports.image}` },
    cinder: { ...serviceSignIn(provider), os_region_name: name, catalog_info: 'volumev3::publicURL' },
    // Makes the role `reader` mean what it says.
    oslo_policy: { enforce_new_defaults: true },
    vnc: { enabled: false },
    spice: { enabled: false },
    libvirt: {
      virt_type: 'qemu',
      cpu_mode: 'none',
      num_pcie_ports: 0,
      inject_partition: -2,
      images_type: 'qcow2',
      connection_uri: 'qemu:///system',
    },
    oslo_concurrency: { lock_path: join(folder, 'lock') },
    nova_sys_admin: privileged,
    vif_plug_linux_bridge_privileged: privileged,
    privsep_osbrick: privileged,
    oslo_messaging_notifications: { driver: 'noop' },
    wsgi: { api_paste_config: '/etc/nova/api-paste.ini' },
  }
}

import { join } from 'node:path'
import { tokenChecks, writeConfiguration } from '../configuration.ts'
import { computeHost, databaseUrl, type Provider, queueUrl } from '../provider.ts'
import { waitForHttp } from '../ready.ts'
import type { Sandbox } from '../sandbox.ts'

/** Starts Neutron with Linux bridges on this machine, and the agents that make them and answer DHCP on them. */
export async function startNeutron(sandbox: Sandbox, provider: Provider): Promise<void> {
  const { folder, ports } = provider
  // Root already: no program to become it.
  const agent = { root_helper: '', root_helper_daemon: '', polling_interval: 1 }
  const path = await writeConfiguration(provider, 'neutron', {
    DEFAULT: {
      core_plugin: 'ml2',
      service_plugins: '',
      host: computeHost,
      bind_host: '127.0.0.1',
      bind_port: ports.network,
      api_workers: 1,
      rpc_workers: 0,
      rpc_state_report_workers: 0,
      auth_strategy: 'keystone',
      transport_url: queueUrl(provider),
      rpc_response_timeout: 15,
      state_path: join(folder, 'neutron'),
      api_paste_config: '/etc/neutron/api-paste.ini',
      notify_nova_on_port_status_changes: false,
      notify_nova_on_port_data_changes: false,
      interface_driver: 'linuxbridge',
      enable_isolated_metadata: false,
      dhcp_lease_duration: -1,
    },
    database: { connection: databaseUrl(provider, 'neutron') },
    keystone_authtoken: tokenChecks(provider),
    oslo_concurrency: { lock_path: join(folder, 'lock') },
    ml2: {
      type_drivers: 'local',
      tenant_network_types: 'local',
      mechanism_drivers: 'linuxbridge',
      extension_drivers: 'port_security',
    },
    experimental: { linuxbridge: true },
    linux_bridge: { physical_interface_mappings: '' },
    vxlan: { enable_vxlan: false },
    securitygroup: { enable_security_group: false, firewall_driver: 'noop' },
    agent,
  })
  const options = ['--config-file', path] as const
  const server = await sandbox.start('neutron', { command: ['neutron-server', ...options] })
  // An agent that is there before the server waits a minute for an answer to its first question.
  await waitForHttp(ports.network, server)
  await sandbox.start('neutron-bridges', { command: ['neutron-linuxbridge-agent', ...options] })
  await sandbox.start('neutron-dhcp', { command: ['neutron-dhcp-agent', ...options] })
}

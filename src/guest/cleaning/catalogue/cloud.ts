import type { CleaningOperation } from '../operation.ts'

/** What the cloud of today left in the machine. */
export const cloudOperations: readonly CleaningOperation[] = [
  {
    id: 'cloud-init-state',
    title:
      'Removes what cloud-init knows of this instance and the files it made for it, so that it starts anew.',
    default: true,
    actions: [
      { remove: ['/var/lib/cloud/*', '/run/cloud-init/*'], except: ['/var/lib/cloud/seed'] },
      {
        when: 'cloud-init-network',
        readBy: ['/usr/sbin/netplan'],
        remove: ['/etc/netplan/50-cloud-init.yaml'],
      },
      {
        when: 'cloud-init-network',
        readBy: ['/usr/sbin/NetworkManager'],
        remove: [
          '/etc/NetworkManager/conf.d/{99-cloud-init,30-cloud-init-ip6-addr-gen-mode}.conf',
          '/etc/NetworkManager/system-connections/cloud-init-*.nmconnection',
        ],
      },
      {
        when: 'cloud-init-network',
        readBy: ['/usr/lib/systemd/systemd-networkd', '/lib/systemd/systemd-networkd'],
        remove: ['/etc/systemd/network/10-cloud-init-*.{network,link,netdev}'],
      },
      {
        when: 'cloud-init-network',
        readBy: ['/usr/sbin/ifup', '/sbin/ifup'],
        remove: ['/etc/network/interfaces.d/50-cloud-init{,.cfg}'],
      },
      {
        when: 'cloud-init',
        readBy: ['/usr/sbin/sshd'],
        remove: ['/etc/ssh/sshd_config.d/50-cloud-init.conf'],
      },
      { when: 'cloud-init', readBy: ['/usr/bin/sudo'], remove: ['/etc/sudoers.d/90-cloud-init-users'] },
      { when: 'cloud-init', edit: ['/etc/fstab'], editor: 'fstab-cloud-init' },
    ],
  },
  {
    id: 'cloud-init-seed',
    title: 'Removes the user data that was left for cloud-init inside the image.',
    default: true,
    risk: 'A guest that gets its user data from inside the image only starts without it.',
    actions: [
      { empty: ['/var/lib/cloud/seed'] },
      // The answers to Ubuntu's installer, the hash of a password and keys among them.
      { remove: ['/etc/cloud/cloud.cfg.d/99-installer.cfg', '/autoinstall.yaml'], filesOnly: true },
    ],
  },
  {
    id: 'cloud-init-hostkeys',
    title:
      'Lets cloud-init make new SSH host keys for every clone where cloud.cfg forbids it, as Atmosphere had it.',
    default: false,
    strict: true,
    atmosphere: true,
    actions: [
      { edit: ['/etc/cloud/cloud.cfg', '/etc/cloud/cloud.cfg.d/*.cfg'], editor: 'cloud-config-host-keys' },
    ],
  },
  {
    id: 'agents',
    title:
      'Removes the registrations of cloud and support agents: AWS, Azure, Google, Ubuntu Pro, monitoring.',
    default: true,
    risk: 'The agent registers again as a new machine.',
    actions: [
      {
        remove: [
          '/var/lib/amazon/ssm/{registration,Vault,runtimeconfig,ipc,i-*}',
          '/var/lib/waagent/*',
          '/var/lib/{google,gce}/*',
          '/var/lib/ubuntu-advantage/{private,jobs-status.json,machine-token.json}',
          '/var/lib/update-notifier/*',
          '/etc/{newrelic-infra,datadog-agent}/*.{key,token}',
          '/etc/datadog-agent/auth_token',
          '/var/lib/{landscape,zabbix-agent,telegraf,otelcol}/*.{key,id,token,secret}',
          '/var/lib/landscape/client/*',
          '/etc/one-context.d/*.env',
          '/var/lib/heat-cfntools/*',
          '/var/lib/os-collect-config/*',
          '/etc/insights-client/{machine-id,.registered,.unregistered}',
          '/etc/zabbix/*.psk',
          '/var/osquery/osquery.db/*',
          '/var/ossec/etc/client.keys',
          '/opt/Elastic/Agent/{fleet.enc,fleet.enc.lock,.installed}',
          '/var/lib/{filebeat,metricbeat,packetbeat,auditbeat,heartbeat}/meta.json',
          '/opt/CrowdStrike/{falconstore,falconstore.bak}',
          '/var/opt/microsoft/{omsagent,scx,azuremonitoragent}/**/*.{crt,key,pem}',
          '/etc/opt/microsoft/mdatp/mdatp_onboard.json',
        ],
      },
      {
        edit: ['/etc/datadog-agent/datadog.yaml', '/etc/newrelic-infra.yml'],
        editor: 'lines',
        parameters: { rules: { delete: ['api_key:*', 'app_key:*', 'license_key:*'] } },
      },
    ],
  },
  {
    id: 'snapd-state',
    title: 'Removes the state of snapd with the identity of the device.',
    default: false,
    strict: true,
    risk: 'Installed snaps are forgotten and have to be installed again.',
    actions: [{ remove: ['/var/lib/snapd/{state.json,device,cookie,auth}'] }],
  },
]

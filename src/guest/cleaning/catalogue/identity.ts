import type { CleaningOperation } from '../operation.ts'

/** What must differ between two machines made from one image. */
export const identityOperations: readonly CleaningOperation[] = [
  {
    id: 'machine-id',
    title: 'Resets the machine id, so that every clone makes its own.',
    default: true,
    minimal: true,
    virtSysprep: 'machine-id',
    actions: [
      { write: ['/etc/machine-id'], content: 'machine-id' },
      { remove: ['/var/lib/dbus/machine-id'], filesOnly: true },
    ],
  },
  {
    id: 'ssh-hostkeys',
    title: 'Removes the SSH host keys.',
    default: true,
    minimal: true,
    virtSysprep: 'ssh-hostkeys',
    actions: [{ remove: ['/etc/ssh/*_host_*', '/etc/dropbear/dropbear_*_host_key'], filesOnly: true }],
  },
  {
    id: 'random-seed',
    title: 'Removes the saved seeds of the random number generator; never writes one.',
    default: true,
    minimal: true,
    actions: [
      {
        remove: [
          '/var/lib/systemd/random-seed',
          '/var/lib/{urandom,misc,seedrng,random-seed}/{random-seed,seed.credit,seed.no-credit}',
          '/var/lib/random-seed',
          '/var/lib/chaos/seed',
          '/{boot,boot/efi,efi}/loader/random-seed',
        ],
        filesOnly: true,
      },
    ],
  },
  {
    id: 'dhcp-client-state',
    title: 'Removes the leases and identifiers of DHCP clients.',
    default: true,
    minimal: true,
    virtSysprep: 'dhcp-client-state',
    actions: [
      {
        remove: [
          '/var/lib/{dhclient,dhcp,dhcp3,dhcpcd,dhcpcd5,udhcpc,wicked}/*',
          '/var/db/dhcpcd/*',
          '/etc/dhcpcd.duid',
          '/etc/dhcp/*duid*',
          '/var/lib/systemd/network/*',
          '/var/lib/NetworkManager/{*.lease,*.lease.*,secret_key,timestamps,seen-bssids,*.lease.tmp,NetworkManager-intern.conf}',
          '/var/lib/NetworkManager/{dhclient*,internal*,dhcpcd*}',
        ],
      },
    ],
  },
  {
    id: 'iscsi-nvme-id',
    title: 'Resets the names by which iSCSI and NVMe storage know the machine.',
    default: true,
    minimal: true,
    actions: [
      { write: ['/etc/iscsi/initiatorname.iscsi'], content: 'iscsi-name', families: ['debian'] },
      { remove: ['/etc/iscsi/initiatorname.iscsi'], notFamilies: ['debian'] },
      { remove: ['/etc/nvme/{hostnqn,hostid}', '/var/lib/iscsi/{nodes,send_targets}/*'] },
    ],
  },
  {
    id: 'udev-persistent-net',
    title: 'Removes the rules that tie network interfaces to hardware addresses.',
    default: true,
    minimal: true,
    virtSysprep: 'udev-persistent-net',
    actions: [{ remove: ['/etc/udev/rules.d/{70-persistent-net,75-persistent-net,70-persistent-cd}.rules'] }],
  },
  {
    id: 'net-hwaddr',
    title: 'Removes hardware addresses from ifcfg files.',
    default: true,
    minimal: true,
    virtSysprep: 'net-hwaddr',
    actions: [
      { edit: ['/etc/sysconfig/{network-scripts,network}/ifcfg-*'], editor: 'ifcfg-hardware-address' },
    ],
  },
  {
    id: 'net-hostname',
    title: 'Removes host names from ifcfg files.',
    default: true,
    virtSysprep: 'net-hostname',
    actions: [{ edit: ['/etc/sysconfig/{network-scripts,network}/ifcfg-*'], editor: 'ifcfg-host-name' }],
  },
  {
    id: 'net-nmconn',
    title: 'Removes the connections of NetworkManager, with the passwords and addresses in them.',
    default: true,
    risk: 'A connection with a fixed address is lost; NetworkManager then uses DHCP.',
    virtSysprep: 'net-nmconn',
    actions: [
      {
        remove: ['/etc/NetworkManager/system-connections/*', '/run/NetworkManager/system-connections/*'],
        filesOnly: true,
      },
    ],
  },
  {
    id: 'host-name',
    title: 'Sets the host name to localhost.',
    default: false,
    risk: 'The name stays localhost where neither cloud-init nor DHCP gives another.',
    actions: [{ write: ['/etc/hostname'], content: 'host-name' }],
  },
  {
    id: 'lvm-system-devices',
    title: 'Removes the list of disks LVM knew on this machine.',
    default: true,
    virtSysprep: 'lvm-system-devices',
    actions: [{ remove: ['/etc/lvm/devices/system.devices', '/etc/lvm/devices/backup/*'] }],
  },
  {
    id: 'smolt-uuid',
    title: 'Removes the hardware identifiers of smolt.',
    default: true,
    virtSysprep: 'smolt-uuid',
    actions: [{ remove: ['/etc/sysconfig/hw-uuid', '/etc/smolt/{uuid,hw-uuid}'] }],
  },
  {
    id: 'yum-uuid',
    title: 'Removes the identifier yum sends to mirrors.',
    default: true,
    virtSysprep: 'yum-uuid',
    actions: [{ remove: ['/var/lib/yum/uuid', '/var/lib/dnf/{countme,uuid}'] }],
  },
]

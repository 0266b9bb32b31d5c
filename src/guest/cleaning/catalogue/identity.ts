import type { CleaningOperation } from '../operation.ts'

/** What must differ between two machines made from one image. */
export const identityOperations: readonly CleaningOperation[] = [
  {
    id: 'machine-id',
    title: 'Resets the machine id, so that every clone makes its own.',
    default: true,
    minimal: true,
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
    actions: [
      {
        remove: [
          '/etc/udev/rules.d/*persistent-{net,cd}*.rules',
          '/etc/{iftab,mactab}',
          '/etc/sysconfig/hwconf',
        ],
        filesOnly: true,
      },
    ],
  },
  {
    id: 'net-hwaddr',
    title:
      'Removes hardware addresses from the network configuration: ifcfg, netplan, networkd, NetworkManager, ifupdown.',
    default: true,
    minimal: true,
    actions: [
      { edit: ['/etc/sysconfig/{network-scripts,network}/ifcfg-*'], editor: 'ifcfg-hardware-address' },
      { edit: ['/etc/netplan/*.yaml'], editor: 'netplan-hardware-address' },
      { edit: ['/etc/systemd/network/*.{network,link,netdev}'], editor: 'networkd-hardware-address' },
      { edit: ['/etc/NetworkManager/system-connections/*'], editor: 'keyfile-hardware-address' },
      {
        edit: ['/etc/network/interfaces', '/etc/network/interfaces.d/*'],
        editor: 'interfaces-hardware-address',
      },
    ],
  },
  {
    id: 'net-hostname',
    title: 'Removes host names from ifcfg files.',
    default: true,
    actions: [{ edit: ['/etc/sysconfig/{network-scripts,network}/ifcfg-*'], editor: 'ifcfg-host-name' }],
  },
  {
    id: 'net-nmconn',
    title: 'Removes the connections of NetworkManager, with the passwords and addresses in them.',
    default: true,
    risk: 'A connection with a fixed address is lost; NetworkManager then uses DHCP.',
    actions: [
      {
        remove: ['/etc/NetworkManager/system-connections/*', '/run/NetworkManager/system-connections/*'],
        filesOnly: true,
      },
    ],
  },
  {
    id: 'host-name',
    title: 'Sets the host name to localhost, and takes the old one out of /etc/hosts.',
    default: false,
    strict: true,
    risk: 'The name stays localhost where neither cloud-init nor DHCP gives another.',
    actions: [
      { write: ['/etc/{hostname,mailname,HOSTNAME}'], content: 'host-name' },
      { edit: ['/etc/hosts'], editor: 'hosts-old-name' },
    ],
  },
  {
    id: 'host-id',
    title: 'Removes the number by which ZFS and licence managers know the machine.',
    default: false,
    strict: true,
    risk: 'A ZFS pool that is imported with the number at the start has to be imported by hand once.',
    actions: [{ remove: ['/etc/{hostid,hostid.orig}'], filesOnly: true }],
  },
  {
    id: 'resolv-conf',
    title: 'Empties resolv.conf, with the name servers and domains of this network.',
    default: false,
    strict: true,
    atmosphere: true,
    risk: 'Names cannot be looked up until DHCP, or somebody, names a server.',
    actions: [{ truncate: ['/etc/resolv.conf', '/etc/resolvconf/resolv.conf.d/original'] }],
  },
  {
    id: 'network-profiles',
    title: 'Removes wireless networks with their passwords, and paired devices.',
    default: true,
    actions: [
      {
        remove: [
          '/etc/wpa_supplicant/*.conf',
          '/var/lib/iwd/*.{psk,8021x,open}',
          '/var/lib/connman/*/*',
          '/var/lib/bluetooth/*',
          '/etc/netctl/wl*',
          '/etc/NetworkManager/certs/*',
        ],
      },
    ],
  },
  {
    id: 'storage-bindings',
    title: 'Removes what multipath and LVM wrote down about the disks of this machine.',
    default: true,
    actions: [
      {
        remove: ['/etc/multipath/{wwids,bindings,prkeys}', '/etc/lvm/{archive,backup,cache}/*'],
        filesOnly: true,
      },
    ],
  },
  {
    id: 'telemetry-ids',
    title: 'Removes the numbers by which a distribution counts its machines.',
    default: true,
    actions: [
      {
        remove: [
          '/var/lib/whoopsie/whoopsie-id',
          '/var/lib/ubuntu-report/*',
          '/var/lib/apport/autoreport',
          '/etc/zypp/{AnonymousUniqueId,LastDistributionFlavor}',
          '/var/lib/zypp/{AnonymousUniqueId,LastDistributionFlavor}',
        ],
        filesOnly: true,
      },
      {
        edit: ['/etc/popularity-contest.conf'],
        editor: 'lines',
        parameters: { rules: { delete: ['MY_HOSTID=*'] } },
      },
    ],
  },
  {
    id: 'flag-reconfiguration',
    title: 'Tells the guest to ask for its basic settings at the next start.',
    default: false,
    risk: 'The next start stops and waits for somebody at the console.',
    actions: [{ write: ['/.unconfigured'], content: 'empty', create: { uid: 0, gid: 0 } }],
  },
  {
    id: 'lvm-system-devices',
    title: 'Removes the list of disks LVM knew on this machine.',
    default: true,
    actions: [{ remove: ['/etc/lvm/devices/system.devices', '/etc/lvm/devices/backup/*'] }],
  },
  {
    id: 'smolt-uuid',
    title: 'Removes the hardware identifiers of smolt.',
    default: true,
    actions: [{ remove: ['/etc/sysconfig/hw-uuid', '/etc/smolt/{uuid,hw-uuid}'] }],
  },
  {
    id: 'yum-uuid',
    title: 'Removes the identifier yum sends to mirrors.',
    default: true,
    actions: [{ remove: ['/var/lib/yum/uuid', '/var/lib/dnf/{countme,uuid}'] }],
  },
]

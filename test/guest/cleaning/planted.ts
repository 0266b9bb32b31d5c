import type { MemoryFiles } from '../../support/memory-filesystem.ts'

/** What one operation must do to a guest with these files, when it is the only one. */
export interface PlantedExample {
  readonly files: MemoryFiles
  /** Paths that are no more. */
  readonly gone?: readonly string[]
  /** Files that are there, empty. */
  readonly emptied?: readonly string[]
  /** Files with a new content. */
  readonly rewritten?: Readonly<Record<string, string>>
  /** Paths that are as they were. */
  readonly stay: readonly string[]
}

const secret = 'PLANTED-SECRET\n'
const homes =
  'root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/srv/home/ann:/bin/sh\npostgres:x:99:99::/var/lib/postgresql:/bin/sh\n'
const enterprise =
  'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.3"\nPRETTY_NAME="Rocky Linux 9.3"\n'
const cloudInit = { '/usr/bin/cloud-init': '#!', '/etc/cloud/cloud.cfg': 'users:\n - default\n' }

/** All `gone` and `stay`, each a file with a secret or a directory with another of them in it. */
function removes(gone: readonly string[], stay: readonly string[], more: MemoryFiles = {}): PlantedExample {
  const paths = [...gone, ...stay]
  const isDirectory = (path: string): boolean => paths.some((other) => other.startsWith(`${path}/`))
  const files = Object.fromEntries(paths.map((path) => [path, isDirectory(path) ? null : secret]))
  return { files: { '/etc/passwd': homes, ...files, ...more }, gone, stay }
}

/** For every operation of the catalogue what it removes, empties or rewrites, and what is next to it and stays. */
export const planted: Readonly<Record<string, PlantedExample>> = {
  'bash-history': removes(
    [
      '/root/.bash_history',
      '/srv/home/ann/.bash_history',
      '/home/bob/.bash_history',
      '/etc/skel/.bash_history',
      '/.bash_history',
    ],
    ['/root/.bashrc', '/srv/home/ann/bash_history', '/srv/.bash_history'],
  ),
  'zsh-history': removes(['/home/bob/.zsh_history', '/root/.histfile'], ['/home/bob/.zshrc']),
  histories: removes(
    [
      ...'.python_history .mysql_history .psql_history .sqlite_history .node_repl_history .rediscli_history .viminfo .lesshst .wget-hsts .local/share/fish/fish_history'
        .split(' ')
        .map((name) => `/home/bob/${name}`),
      '/var/lib/postgresql/.psql_history',
    ],
    ['/home/bob/.vimrc', '/home/bob/.config/fish/config.fish', '/home/bob/notes_history'],
  ),
  'ssh-userdir': removes(
    ['/root/.ssh', '/srv/home/ann/.ssh', '/var/lib/postgresql/.ssh', '/home/bob/.ssh/id_ed25519'],
    ['/etc/ssh/sshd_config', '/home/bob/ssh-notes'],
  ),
  credentials: removes(
    '.aws/credentials .azure/accessTokens.json .config/gcloud/credentials.db .config/openstack/clouds.yaml .kube/config .docker/config.json .git-credentials .netrc .pgpass .my.cnf .gnupg/private-keys-v1.d/key openrc.sh project-openrc.sh .local/share/keyrings/login.keyring'
      .split(' ')
      .map((name) => `/home/bob/${name}`),
    ['/home/bob/.profile', '/home/bob/.config/htop/htoprc', '/home/bob/report.txt'],
  ),
  'browser-data': removes(
    [
      '/home/bob/.mozilla/firefox/x/logins.json',
      '/home/bob/.config/chromium/Default/Cookies',
      '/home/bob/mbox',
    ],
    ['/home/bob/.config/user-dirs.dirs'],
  ),
  'home-litter': removes(
    [
      '/home/bob/.cache/thumbnails/a',
      '/home/bob/.ansible/tmp/b',
      '/home/bob/.local/share/Trash/files/c',
      '/home/bob/.sudo_as_admin_successful',
      '/home/bob/letter.bak',
      '/home/bob/letter~',
    ],
    ['/home/bob/.cache', '/home/bob/letter', '/home/bob/work/deep.bak'],
    { '/home/bob/.cache': null },
  ),
  'tls-private-keys': removes(
    [
      '/etc/ssl/private/server.key',
      '/etc/letsencrypt/live/example.org/privkey.pem',
      '/etc/nginx/tls/site.key',
    ],
    ['/etc/ssl/certs/ca.pem', '/etc/ssl/openssl.cnf', '/etc/nginx/nginx.conf'],
  ),
  'ca-certificates': removes(
    ['/etc/pki/CA/certs/own.crt', '/etc/pki/CA/private/own.key', '/etc/pki/tls/certs/own.crt'],
    ['/etc/pki/tls/certs/ca-bundle.crt'],
  ),
  'vpn-keys': removes(
    ['/etc/openvpn/client.key', '/etc/wireguard/wg0.conf'],
    ['/etc/openvpn/update-resolv-conf'],
  ),
  'management-keys': removes(
    [
      '/etc/puppet/ssl/private_keys/a.pem',
      '/etc/puppetlabs/puppet/ssl/private_keys/a.pem',
      '/etc/salt/pki/minion/minion.pem',
      '/etc/chef/client.pem',
    ],
    ['/etc/puppet/puppet.conf', '/etc/salt/minion'],
  ),
  'cluster-credentials': removes(
    [
      '/etc/rancher/k3s/k3s.yaml',
      '/var/lib/kubelet/pki/kubelet.key',
      '/var/lib/docker/network/files/local-kv.db',
    ],
    ['/var/lib/docker/overlay2/layer', '/etc/docker/daemon.json'],
  ),
  'container-state': removes(
    ['/var/lib/docker/overlay2/layer'],
    ['/var/lib/docker', '/etc/docker/daemon.json'],
    {
      '/var/lib/docker': null,
    },
  ),
  'system-credentials': {
    files: {
      '/var/lib/systemd/credential.secret': secret,
      '/etc/davfs2/secrets': secret,
      '/var/cache/debconf/passwords.dat': secret,
      '/var/cache/debconf/config.dat': secret,
    },
    gone: ['/var/lib/systemd/credential.secret', '/etc/davfs2/secrets'],
    emptied: ['/var/cache/debconf/passwords.dat'],
    stay: ['/var/cache/debconf/config.dat'],
  },
  'application-secrets': removes(
    ['/opt/app/.env', '/var/www/app/.env', '/srv/.env'],
    ['/opt/app/env', '/opt/app/main.js'],
  ),
  'kerberos-hostkeytab': removes(['/etc/krb5.keytab'], ['/etc/krb5.conf']),
  'kerberos-data': removes(['/var/kerberos/krb5kdc/principal'], ['/var/kerberos/krb5kdc/kdc.conf']),
  'ipa-client': removes(['/etc/ipa/ca.crt', '/var/lib/ipa-client/pki/cert9.db'], ['/etc/ipa/other.conf']),
  'rh-subscription-manager': removes(['/etc/pki/consumer/key.pem'], ['/etc/pki/product/69.pem']),
  'rhn-systemid': removes(['/etc/sysconfig/rhn/systemid'], ['/etc/sysconfig/rhn/up2date']),
  'machine-id': {
    files: {
      '/usr/lib/systemd/systemd': '',
      '/usr/lib/systemd/libsystemd-shared-252.so': '',
      '/etc/machine-id': { text: '0123456789abcdef0123456789abcdef\n', mode: 0o644 },
      '/var/lib/dbus/machine-id': '0123456789abcdef0123456789abcdef\n',
    },
    rewritten: { '/etc/machine-id': 'uninitialized\n' },
    gone: ['/var/lib/dbus/machine-id'],
    stay: ['/usr/lib/systemd/systemd'],
  },
  'ssh-hostkeys': removes(
    ['/etc/ssh/ssh_host_ed25519_key', '/etc/ssh/ssh_host_ed25519_key.pub', '/etc/ssh/ssh_host_rsa_key'],
    ['/etc/ssh/sshd_config', '/etc/ssh/ssh_config'],
  ),
  'random-seed': removes(
    [
      '/var/lib/systemd/random-seed',
      '/var/lib/urandom/random-seed',
      '/var/lib/random-seed',
      '/boot/efi/loader/random-seed',
    ],
    ['/boot/efi/loader/loader.conf'],
  ),
  'dhcp-client-state': removes(
    [
      '/var/lib/dhcp/dhclient.eth0.leases',
      '/var/lib/dhclient/dhclient.leases',
      '/var/lib/dhcpcd5/duid',
      '/var/lib/dhcpcd/duid',
      '/var/lib/systemd/network/duid',
      '/var/lib/NetworkManager/internal-1-eth0.lease',
      '/var/lib/NetworkManager/secret_key',
    ],
    ['/etc/dhcp/dhclient.conf', '/var/lib/NetworkManager/NetworkManager.state'],
  ),
  'iscsi-nvme-id': {
    files: {
      '/etc/iscsi/initiatorname.iscsi': 'InitiatorName=iqn.1993-08.org.debian:01:abcdef\n',
      '/etc/iscsi/iscsid.conf': 'node.startup = manual\n',
      '/etc/nvme/hostid': secret,
      '/etc/nvme/hostnqn': secret,
    },
    rewritten: { '/etc/iscsi/initiatorname.iscsi': 'GenerateName=yes\n' },
    gone: ['/etc/nvme/hostid', '/etc/nvme/hostnqn'],
    stay: ['/etc/iscsi/iscsid.conf'],
  },
  'udev-persistent-net': removes(
    ['/etc/udev/rules.d/70-persistent-net.rules'],
    ['/etc/udev/rules.d/60-own.rules'],
  ),
  'net-hwaddr': {
    files: {
      '/etc/os-release': enterprise,
      '/etc/sysconfig/network-scripts/ifcfg-eth0':
        '# HWADDR= of the old one\r\nDEVICE=eth0\r\nHWADDR=52:54:00:12:34:56\r\nMACADDR="52:54:00:12:34:57"\r\nONBOOT=yes',
      '/etc/netplan/01-own.yaml':
        'network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true # here\n      match:\n        macaddress: "52:54:00:12:34:56"\n      set-name: eth0\n    eth1:\n      match:\n        name: ens*\n        macaddress: 52:54:00:12:34:58\n      macaddress: 52:54:00:12:34:59\n      dhcp4: true\n',
      '/etc/systemd/network/10-lan.network': '[Match]\nMACAddress=52:54:00:12:34:56\n\n[Network]\nDHCP=yes\n',
      '/etc/systemd/network/10-lan.link':
        '[Match]\nMACAddress=52:54:00:12:34:56\n\n[Link]\nName=lan0\nMACAddress=52:54:00:12:34:57\n',
      '/etc/NetworkManager/system-connections/lan.nmconnection':
        '[connection]\nid=lan\n[ethernet]\nmac-address=52:54:00:12:34:56\ncloned-mac-address=random\n[ipv4]\nmethod=auto\n',
      '/etc/network/interfaces':
        'auto eth0\niface eth0 inet dhcp\n    hwaddress ether 52:54:00:12:34:56\n# hwaddress\n',
    },
    rewritten: {
      '/etc/sysconfig/network-scripts/ifcfg-eth0': '# HWADDR= of the old one\r\nDEVICE=eth0\r\nONBOOT=yes',
      '/etc/netplan/01-own.yaml':
        'network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true # here\n    eth1:\n      match:\n        name: ens*\n      dhcp4: true\n',
      '/etc/systemd/network/10-lan.network': '[Match]\nType=ether\n\n[Network]\nDHCP=yes\n',
      '/etc/systemd/network/10-lan.link': '[Match]\nOriginalName=none\n\n[Link]\nName=lan0\n',
      '/etc/NetworkManager/system-connections/lan.nmconnection':
        '[connection]\nid=lan\n[ethernet]\ncloned-mac-address=random\n[ipv4]\nmethod=auto\n',
      '/etc/network/interfaces': 'auto eth0\niface eth0 inet dhcp\n# hwaddress\n',
    },
    stay: ['/etc/os-release'],
  },
  'net-hostname': {
    files: {
      '/etc/sysconfig/network-scripts/ifcfg-eth0':
        'DEVICE=eth0\nDHCP_HOSTNAME=secret-host\nHOSTNAME=secret-host\n',
    },
    rewritten: { '/etc/sysconfig/network-scripts/ifcfg-eth0': 'DEVICE=eth0\n' },
    stay: ['/etc/os-release'],
  },
  'net-nmconn': removes(
    ['/etc/NetworkManager/system-connections/office.nmconnection'],
    ['/etc/NetworkManager/NetworkManager.conf'],
  ),
  'host-name': {
    files: {
      '/etc/hostname': 'secret-host\n',
      '/etc/hosts':
        '# secret-host\n127.0.0.1\tlocalhost secret-host # loop\n127.0.1.1 secret-host.example.org secret-host\n::1 ip6-localhost\n10.0.0.9 secret-hosting\n',
    },
    rewritten: {
      '/etc/hostname': 'localhost\n',
      '/etc/hosts':
        '# secret-host\n127.0.0.1\tlocalhost # loop\n::1 ip6-localhost\n10.0.0.9 secret-hosting\n',
    },
    stay: ['/etc/passwd'],
  },
  'lvm-system-devices': removes(['/etc/lvm/devices/system.devices'], ['/etc/lvm/lvm.conf']),
  'smolt-uuid': removes(['/etc/smolt/uuid'], ['/etc/smolt/smolt.conf']),
  'yum-uuid': removes(['/var/lib/yum/uuid'], ['/var/lib/yum/history']),
  'cloud-init-state': {
    files: {
      ...cloudInit,
      '/var/lib/cloud/instances/i-1/user-data.txt': secret,
      '/var/lib/cloud/sem/config_scripts': secret,
      '/var/lib/cloud/seed/nocloud/user-data': secret,
      '/etc/netplan/50-cloud-init.yaml': secret,
      '/etc/netplan/01-own.yaml': secret,
      '/etc/systemd/network/10-cloud-init-eth0.network': secret,
      '/etc/ssh/sshd_config.d/50-cloud-init.conf': secret,
      '/etc/sudoers.d/90-cloud-init-users': secret,
      '/etc/fstab':
        'UUID=uuid-1 / ext4 defaults 0 1\n# comment=cloudconfig in a comment\n/dev/vdb\t/mnt\tauto\tdefaults,nofail,comment=cloudconfig\t0\t2\n',
    },
    gone: [
      '/var/lib/cloud/instances',
      '/var/lib/cloud/sem',
      '/etc/netplan/50-cloud-init.yaml',
      '/etc/systemd/network/10-cloud-init-eth0.network',
      '/etc/ssh/sshd_config.d/50-cloud-init.conf',
      '/etc/sudoers.d/90-cloud-init-users',
    ],
    rewritten: { '/etc/fstab': 'UUID=uuid-1 / ext4 defaults 0 1\n# comment=cloudconfig in a comment\n' },
    stay: ['/var/lib/cloud/seed/nocloud/user-data', '/etc/netplan/01-own.yaml', '/etc/cloud/cloud.cfg'],
  },
  'cloud-init-seed': removes(['/var/lib/cloud/seed/nocloud/user-data'], ['/var/lib/cloud/data/x']),
  agents: removes(
    [
      '/var/lib/amazon/ssm/registration',
      '/var/lib/waagent/ovf-env.xml',
      '/var/lib/ubuntu-advantage/private/machine-token.json',
      '/var/lib/update-notifier/updates-available',
    ],
    ['/etc/amazon/ssm/seelog.xml'],
  ),
  'snapd-state': removes(['/var/lib/snapd/state.json'], ['/var/lib/snapd/snaps/core.snap']),
  journal: removes(
    ['/var/log/journal/0123456789abcdef0123456789abcdef/system.journal'],
    ['/var/log/journal', '/var/log/syslog'],
    { '/var/log/journal': { directory: true, mode: 0o2755 } },
  ),
  'logs-rotated': removes(
    [
      '/var/log/syslog.1',
      '/var/log/nginx/access.log.1.gz',
      '/var/log/messages-20240131',
      '/var/log/dmesg.0',
      '/var/log/btmp.1',
      '/var/log/a/b/c/app.log.12.xz',
      '/data/logs/app.log.1',
      '/data/logs/app.log-20240131.gz',
    ],
    [
      '/var/log/syslog',
      '/var/log/nginx/access.log',
      '/var/log/app-2',
      '/data/logs/app.log',
      '/data/logs/app.txt',
    ],
    { '/etc/logrotate.d/app': '/data/logs/app.log { daily }\n' },
  ),
  logfiles: {
    files: {
      '/var/log/syslog': { text: secret, mode: 0o640, gid: 4 },
      '/var/log/nginx/access.log': secret,
      '/var/log/postgresql/main.log': secret,
      '/var/log/wtmp': { text: secret, mode: 0o664, gid: 43 },
      '/root/anaconda-ks.cfg': secret,
      '/var/lib/logrotate/status': secret,
      '/var/lib/app/data': secret,
      '/home/bob/app.log': secret,
      '/etc/logrotate.d/app':
        '# rotate\n/data/app/logs/*.log "/srv/a b/out.log" {\n  weekly\n  /etc/passwd\n}\n/etc/shadow {\n}\n',
      '/etc/shadow': secret,
      '/etc/cloud/cloud.cfg': 'output: {all: "| tee -a /opt/cloud-init.out"}\n',
      '/data/app/logs/one.log': secret,
      '/srv/a b/out.log': secret,
      '/opt/cloud-init.out': secret,
    },
    emptied: [
      '/data/app/logs/one.log',
      '/srv/a b/out.log',
      '/opt/cloud-init.out',
      '/var/log/syslog',
      '/var/log/nginx/access.log',
      '/var/log/postgresql/main.log',
      '/var/log/wtmp',
    ],
    gone: ['/root/anaconda-ks.cfg', '/var/lib/logrotate/status'],
    stay: ['/var/lib/app/data', '/home/bob/app.log', '/etc/shadow', '/etc/passwd'],
  },
  'pacct-log': {
    files: {
      '/var/account/pacct': secret,
      '/var/account/pacct-20240101': secret,
      '/var/account/other': secret,
    },
    emptied: ['/var/account/pacct'],
    gone: ['/var/account/pacct-20240101'],
    stay: ['/var/account/other'],
  },
  utmp: {
    files: { '/run/utmp': secret, '/var/run': { link: '/run' }, '/run/other': secret },
    gone: ['/run/utmp'],
    stay: ['/var/run', '/run/other'],
  },
  'crash-data': removes(
    ['/var/crash/vmcore/dump', '/var/lib/systemd/coredump/core.bash.zst', '/core.123'],
    ['/var/crash', '/var/lib/systemd/catalog/database', '/corefile'],
    { '/var/crash': null },
  ),
  'abrt-data': removes(['/var/spool/abrt/ccpp-1/coredump'], ['/var/spool/abrt'], { '/var/spool/abrt': null }),
  'mail-spool': {
    files: {
      '/var/mail': { link: 'spool/mail' },
      '/var/spool/mail': { directory: true, mode: 0o2775, gid: 8 },
      '/var/spool/mail/ann': secret,
      '/var/spool/postfix/deferred/A/A1': secret,
      '/var/spool/postfix/pid/master.pid': secret,
    },
    gone: ['/var/spool/mail/ann', '/var/spool/postfix/deferred/A/A1'],
    stay: ['/var/mail', '/var/spool/mail', '/var/spool/postfix/pid/master.pid'],
  },
  'cron-spool': {
    files: {
      '/var/spool/cron/crontabs/ann': secret,
      '/var/spool/cron/atjobs/a00001': secret,
      '/var/spool/cron/atjobs/.SEQ': { text: '0000a', mode: 0o600, uid: 1, gid: 1 },
      '/etc/crontab': secret,
    },
    gone: ['/var/spool/cron/crontabs/ann', '/var/spool/cron/atjobs/a00001'],
    rewritten: { '/var/spool/cron/atjobs/.SEQ': '00000' },
    stay: ['/etc/crontab', '/var/spool/cron/crontabs', '/var/spool/cron/atjobs'],
  },
  'anacron-state': removes(['/var/spool/anacron/cron.daily'], ['/etc/anacrontab']),
  'print-spool': removes(['/var/spool/cups/d00001-001'], ['/etc/cups/cupsd.conf']),
  'dhcp-server-state': removes(['/var/lib/dhcpd/dhcpd.leases'], ['/etc/dhcp/dhcpd.conf']),
  'dovecot-data': removes(['/var/lib/dovecot/ssl-parameters.dat'], ['/etc/dovecot/dovecot.conf']),
  'samba-db-log': removes(
    ['/var/lib/samba/private/secrets.tdb'],
    ['/etc/samba/smb.conf', '/var/lib/samba/private'],
  ),
  'sssd-db-log': removes(['/var/lib/sss/db/cache_example.ldb'], ['/etc/sssd/sssd.conf']),
  'pam-data': removes(['/var/run/faillock/ann'], ['/etc/security/faillock.conf']),
  'puppet-data-log': removes(['/var/lib/puppet/state/state.yaml'], ['/etc/puppet/puppet.conf']),
  'service-identity': removes(['/var/lib/mysql/auto.cnf'], ['/var/lib/mysql/ibdata1']),
  'database-logs': removes(
    ['/var/lib/postgresql/15/main/pg_wal/000000010000000000000001'],
    ['/var/lib/postgresql/15/main/PG_VERSION'],
  ),
  'passwd-backups': removes(['/etc/passwd-', '/etc/shadow-', '/etc/subuid-'], ['/etc/passwd', '/etc/shadow']),
  'firewall-rules': removes(['/etc/sysconfig/iptables'], ['/etc/sysconfig/network']),
  'tmp-files': removes(
    ['/tmp/.X11-unix/X0', '/tmp/.hidden', '/tmp/deep/er/file', '/var/tmp/systemd-private-1/tmp/x'],
    ['/tmp', '/var/tmp'],
    { '/tmp': { directory: true, mode: 0o1777 }, '/var/tmp': { directory: true, mode: 0o1777 } },
  ),
  'run-files': removes(['/run/secrets/token', '/run/lock/x'], ['/run', '/usr/lib/systemd/systemd'], {
    '/run': null,
    '/usr/lib/systemd/systemd': '',
  }),
  'backup-files': removes(
    ['/etc/app/config.bak', '/etc/app/config~', '/var/lib/app/data.bak', '/root/x/y~'],
    ['/etc/app/config', '/home/bob/letter.bak', '/usr/share/x.bak'],
  ),
  'package-manager-cache': removes(
    ['/var/cache/apt/archives/bash.deb', '/var/cache/apt/pkgcache.bin', '/var/cache/dnf/x/y/z.rpm'],
    ['/var/cache/apt/archives/lock', '/var/lib/dpkg/status'],
  ),
  'package-lists': removes(['/var/lib/apt/lists/deb.debian.org_main'], ['/etc/apt/sources.list']),
  'rpm-db': removes(['/var/lib/rpm/__db.001'], ['/var/lib/rpm/rpmdb.sqlite']),
  'system-caches': removes(['/var/cache/man/index.db', '/var/lib/mlocate/mlocate.db'], ['/var/cache/man']),
  'blkid-tab': removes(
    ['/etc/blkid.tab', '/etc/blkid/blkid.tab.old', '/dev/.blkid.tab'],
    ['/etc/blkid.conf'],
  ),
  'swap-files': {
    files: {
      '/etc/fstab':
        'UUID=uuid-1 / ext4 defaults 0 1\n/data/swap none swap sw 0 0\nUUID=other none swap sw 0 0\n',
      '/data/swap': { text: Buffer.alloc(10 * 4096, 'M'), mode: 0o600 },
      '/swapfile': { text: secret, mode: 0o600 },
      '/data/file': secret,
    },
    gone: ['/data/swap', '/swapfile'],
    rewritten: { '/etc/fstab': 'UUID=uuid-1 / ext4 defaults 0 1\nUUID=other none swap sw 0 0\n' },
    stay: ['/data/file'],
  },
  'ci-runners': removes(
    [
      '/etc/gitlab-runner/config.toml',
      '/home/bob/actions-runner/.credentials',
      '/var/lib/jenkins/secrets/master.key',
    ],
    ['/home/bob/actions-runner/run.sh', '/var/lib/jenkins/config.xml'],
  ),
  'host-id': removes(['/etc/hostid'], ['/etc/hostname']),
  'resolv-conf': {
    files: { '/etc/resolv.conf': 'search secret.example\nPLANTED-SECRET\n' },
    rewritten: { '/etc/resolv.conf': '' },
    stay: ['/etc/passwd'],
  },
  'network-profiles': removes(
    ['/etc/wpa_supplicant/wpa_supplicant.conf', '/var/lib/iwd/home.psk', '/var/lib/bluetooth/00:11/info'],
    ['/etc/wpa_supplicant/functions.sh', '/etc/bluetooth/main.conf'],
  ),
  'storage-bindings': removes(
    ['/etc/multipath/wwids', '/etc/lvm/archive/vg_00000.vg', '/etc/lvm/backup/vg'],
    ['/etc/multipath.conf', '/etc/lvm/lvm.conf'],
  ),
  'telemetry-ids': {
    files: {
      '/var/lib/whoopsie/whoopsie-id': secret,
      '/etc/popularity-contest.conf':
        '# MY_HOSTID="x" of the package\nPARTICIPATE="yes"\nMY_HOSTID="secret"\n',
      '/etc/whoopsie': secret,
    },
    gone: ['/var/lib/whoopsie/whoopsie-id'],
    rewritten: { '/etc/popularity-contest.conf': '# MY_HOSTID="x" of the package\nPARTICIPATE="yes"\n' },
    stay: ['/etc/whoopsie'],
  },
  'flag-reconfiguration': {
    files: {},
    rewritten: { '/.unconfigured': '' },
    stay: ['/etc/passwd'],
  },
  'cloud-init-hostkeys': {
    files: {
      '/etc/cloud/cloud.cfg':
        'disable_root: 0\r\n# ssh_deletekeys: false\r\nssh_deletekeys:   0  # by Atmosphere\r\nssh:\r\n  ssh_deletekeys: false',
      '/etc/cloud/cloud.cfg.d/05_logging.cfg': 'output: {all: x}\n',
    },
    rewritten: {
      '/etc/cloud/cloud.cfg':
        'disable_root: 0\r\n# ssh_deletekeys: false\r\nssh_deletekeys:   true  # by Atmosphere\r\nssh:\r\n  ssh_deletekeys: false',
    },
    stay: ['/etc/cloud/cloud.cfg.d/05_logging.cfg'],
  },
  'user-account': {
    files: {
      '/etc/login.defs': '#UID_MIN 5\nUID_MIN\t\t 500\nUID_MAX 60000\n',
      '/etc/passwd': `${homes}ubuntu:x:500:500:Ubuntu:/home/ubuntu:/bin/bash\nnobody:x:65534:65534::/nonexistent:/bin/false\n+::::::\n`,
      '/etc/shadow': {
        text: 'root:$6$x:1:0:99999:7:::\nann:$6$secret:1:0:99999:7:::\nubuntu:!:1:0:99999:7:::\n',
        mode: 0o640,
        gid: 42,
      },
      '/etc/group':
        'root:x:0:\nadm:x:4:syslog,ubuntu\nsudo:x:27:ubuntu,ann\nann:x:1000:\nubuntu:x:500:postgres\nusers:x:100:\n',
      '/etc/gshadow': 'adm:*::syslog,ubuntu\nsudo:*:ann:ubuntu,ann\nann:!::\nubuntu:!::postgres\n',
      '/etc/subuid': 'ann:100000:65536\nbob:165536:65536\n',
      '/etc/subgid': 'ann:100000:65536\n',
      '/etc/sudoers':
        'Defaults env_reset\nroot ALL=(ALL:ALL) ALL\nann ALL=(ALL) \\\n  NOPASSWD: ALL\nubuntu, postgres ALL=(ALL) ALL\n#includedir /etc/sudoers.d\n',
      '/etc/sudoers.d/90-cloud-init-users': '# rules\nubuntu ALL=(ALL) NOPASSWD:ALL\n',
      '/srv/home/ann/letter': secret,
      '/home/ubuntu/.profile': secret,
      '/var/mail': { link: 'spool/mail' },
      '/var/spool/mail/ann': secret,
      '/var/spool/mail/postgres': secret,
      '/var/spool/cron/crontabs/ubuntu': secret,
      '/var/lib/systemd/linger/ann': '',
      '/var/lib/postgresql/data': secret,
    },
    gone: [
      '/srv/home/ann',
      '/home/ubuntu',
      '/var/spool/mail/ann',
      '/var/spool/cron/crontabs/ubuntu',
      '/var/lib/systemd/linger/ann',
    ],
    rewritten: {
      '/etc/passwd':
        'root:x:0:0::/root:/bin/bash\npostgres:x:99:99::/var/lib/postgresql:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n+::::::\n',
      '/etc/shadow': 'root:$6$x:1:0:99999:7:::\n',
      '/etc/group': 'root:x:0:\nadm:x:4:syslog\nsudo:x:27:\nubuntu:x:500:postgres\nusers:x:100:\n',
      '/etc/gshadow': 'adm:*::syslog\nsudo:*::\nubuntu:!::postgres\n',
      '/etc/subuid': 'bob:165536:65536\n',
      '/etc/subgid': '',
      '/etc/sudoers':
        'Defaults env_reset\nroot ALL=(ALL:ALL) ALL\npostgres ALL=(ALL) ALL\n#includedir /etc/sudoers.d\n',
      '/etc/sudoers.d/90-cloud-init-users': '# rules\n',
    },
    stay: ['/var/spool/mail/postgres', '/var/lib/postgresql/data', '/etc/login.defs'],
  },
  'orphan-homes': removes(['/home/bob/letter', '/home/old.user/x'], ['/home/carol/letter'], {
    '/etc/passwd': `${homes}carol:x:1001:1001::/home/carol:/bin/sh\n`,
  }),
  'root-home': removes(
    ['/root/notes', '/root/.config/x', '/root/.mysecret'],
    ['/root/.bashrc', '/root/.profile', '/root', '/srv/home/ann/notes'],
    { '/root': { directory: true, mode: 0o700 } },
  ),
  'lock-root': {
    files: {
      '/etc/passwd': 'root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/srv/home/ann:/bin/sh\n',
      '/etc/shadow': 'root:$6$secret:19000:0:99999:7:::\nann:$6$hers:19000:0:99999:7:::\n',
      '/etc/shadow-': 'root::19000:0:99999:7:::',
      '/etc/gshadow': 'root:*::\n',
    },
    rewritten: {
      '/etc/shadow': 'root:*:19000:0:99999:7:::\nann:$6$hers:19000:0:99999:7:::\n',
      '/etc/shadow-': 'root:*:19000:0:99999:7:::',
    },
    stay: ['/etc/passwd', '/etc/gshadow'],
  },
  'password-hashes': {
    files: {
      '/etc/passwd': 'root:x:0:0::/root:/bin/bash\nold:AbCdEf1234567:7:7::/:/bin/sh\nopen::8:8::/:/bin/sh\n',
      '/etc/shadow':
        'root:!$6$secret:19000:0:99999:7:::\nann:$y$secret:19000:0:99999:7:::\nbin:*:1::::::\nsys:!!:1::::::\n',
      '/etc/gshadow': 'root:*::\nstaff:$6$secret::ann\nopen:::\n',
      '/etc/group': 'root:x:0:\n',
    },
    rewritten: {
      '/etc/passwd': 'root:x:0:0::/root:/bin/bash\nold:*:7:7::/:/bin/sh\nopen:*:8:8::/:/bin/sh\n',
      '/etc/shadow': 'root:*:19000:0:99999:7:::\nann:*:19000:0:99999:7:::\nbin:*:1::::::\nsys:!!:1::::::\n',
      '/etc/gshadow': 'root:*::\nstaff:!::ann\nopen:::\n',
    },
    stay: ['/etc/group'],
  },
  'ssh-root-password': {
    files: {
      '/etc/ssh/sshd_config':
        '#PermitRootLogin yes\nPort 22\npermitrootlogin=Yes # why not\nMatch Address 10.0.0.0/8\n    PermitRootLogin yes\n',
      '/etc/ssh/sshd_config.d/10-own.conf': 'PermitRootLogin no\n',
    },
    rewritten: {
      '/etc/ssh/sshd_config':
        '#PermitRootLogin yes\nPort 22\npermitrootlogin=prohibit-password # why not\nMatch Address 10.0.0.0/8\n    PermitRootLogin prohibit-password\n',
    },
    stay: ['/etc/ssh/sshd_config.d/10-own.conf'],
  },
  'atmosphere-files': {
    files: {
      '/etc/rc.local.atmo': secret,
      '/usr/sbin/atmo_boot.py': secret,
      '/var/log/atmo/post-scripts/stdout': secret,
      '/opt/cyverse/tmp/x': secret,
      '/etc/rc.local':
        '#!/bin/sh\n/usr/bin/vncserver\nshellinabox --port 4200\necho vncserver is gone\nexit 0\n',
      '/usr/sbin/atmo': secret,
    },
    gone: ['/etc/rc.local.atmo', '/usr/sbin/atmo_boot.py', '/var/log/atmo', '/opt/cyverse'],
    rewritten: { '/etc/rc.local': '#!/bin/sh\necho vncserver is gone\nexit 0\n' },
    stay: ['/usr/sbin/atmo'],
  },
  'atmosphere-blocks': {
    files: {
      '/etc/sudoers':
        'root ALL=(ALL) ALL\n## Atmosphere System\nann ALL=(ALL) ALL\n## End Atmosphere System\n%admin ALL=(ALL) ALL\n## Atmosphere System\nx\n## End Atmosphere System\n#includedir /etc/sudoers.d',
      '/etc/ssh/sshd_config':
        'Port 22\nAllowGroups users root core-services\nAllowGroups staff\n## Atmosphere System\nPermitRootLogin yes\n## End Atmosphere System\n',
      '/etc/skel/.bashrc': 'umask 022\n## Atmosphere System\n. /opt/x\n## End Atmosphere System\nset -o vi\n',
      '/etc/skel/.profile': '## Atmosphere System\n',
    },
    rewritten: {
      '/etc/sudoers': 'root ALL=(ALL) ALL\n%admin ALL=(ALL) ALL\n#includedir /etc/sudoers.d',
      '/etc/ssh/sshd_config': 'Port 22\nAllowGroups staff\n',
      '/etc/skel/.bashrc': 'umask 022\nset -o vi\n',
    },
    stay: ['/etc/skel/.profile'],
  },
  'monitoring-blocks': {
    files: {
      '/etc/sudoers':
        '# Begin Nagios\nnagios ALL=NOPASSWD: ALL\n# End Nagios\nroot ALL=(ALL) ALL\n# Begin Sensu\nsensu ALL=NOPASSWD: ALL\n# End Sensu\n',
      '/etc/sudoers.d/own': 'ann ALL=(ALL) ALL\n',
    },
    rewritten: { '/etc/sudoers': 'root ALL=(ALL) ALL\n' },
    stay: ['/etc/sudoers.d/own'],
  },
  'users-group': {
    files: {
      '/etc/group': 'users:x:100:ann,bob\nmyusers:x:1001:ann\nusers:x:101:ann\n',
      '/etc/gshadow': 'users:!::\n',
    },
    rewritten: { '/etc/group': 'users:x:100:\nmyusers:x:1001:ann\nusers:x:101:ann\n' },
    stay: ['/etc/gshadow'],
  },
  'data-disks': {
    files: {
      '/etc/fstab':
        '/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 /var ext4 defaults 0 2\n/dev/vdb /mnt auto nofail 0 2\nUUID=abc /data ext4 nofail 0 2 # was /dev/vdb\n/dev/sda5\tnone\tswap\tsw\t0\t0\n',
      '/etc/crypttab': secret,
    },
    rewritten: {
      '/etc/fstab':
        '/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 /var ext4 defaults 0 2\nUUID=abc /data ext4 nofail 0 2 # was /dev/vdb\n',
    },
    stay: ['/etc/crypttab'],
  },
  'mount-points': removes(
    ['/mnt/data/file', '/mnt/.hidden', '/media/usb/x', '/proc/left'],
    ['/mnt', '/media', '/proc', '/opt/file'],
    { '/mnt': null, '/media': null, '/proc': null },
  ),
  'udev-net-generator': {
    files: {
      '/lib/udev/rules.d/75-persistent-net-generator.rules': secret,
      '/lib/udev/rules.d/60-x.rules': secret,
    },
    emptied: ['/lib/udev/rules.d/75-persistent-net-generator.rules'],
    stay: ['/lib/udev/rules.d/60-x.rules'],
  },
  'first-start-scripts': removes(
    ['/usr/lib/virt-sysprep/scripts/0001-x', '/var/lib/cloud/scripts/per-once/x'],
    ['/usr/lib/virt-sysprep/firstboot.sh'],
  ),
}

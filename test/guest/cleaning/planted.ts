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
    },
    rewritten: {
      '/etc/sysconfig/network-scripts/ifcfg-eth0': '# HWADDR= of the old one\r\nDEVICE=eth0\r\nONBOOT=yes',
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
    files: { '/etc/hostname': 'secret-host\n' },
    rewritten: { '/etc/hostname': 'localhost\n' },
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
    ],
    ['/var/log/syslog', '/var/log/nginx/access.log', '/var/log/app-2'],
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
    },
    emptied: [
      '/var/log/syslog',
      '/var/log/nginx/access.log',
      '/var/log/postgresql/main.log',
      '/var/log/wtmp',
    ],
    gone: ['/root/anaconda-ks.cfg', '/var/lib/logrotate/status'],
    stay: ['/var/lib/app/data', '/home/bob/app.log'],
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
}

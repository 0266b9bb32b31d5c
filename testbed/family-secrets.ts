/** The two habits of Linux distributions that the testbed builds guests of. */
export type GuestFamily = 'debian' | 'rhel'

/** `/etc/os-release` of a guest of that family. */
export const osReleases: Readonly<Record<GuestFamily, string>> = {
  debian:
    'ID=debian\nNAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\n',
  rhel: 'ID="rocky"\nID_LIKE="rhel centos fedora"\nNAME="Rocky Linux"\nPRETTY_NAME="Rocky Linux 9.3"\nVERSION_ID="9.3"\n',
}

/** Further files of every home. */
export const moreHomeFiles: readonly string[] = [
  '.sh_history .ash_history .histfile .irb_history .gdb_history .Rhistory .lua_history .mariadb_history',
  '.vim/undo/a .local/share/nano/search_history .local/state/psql_history .ipython/profile_default/history.sqlite',
  '.config/gh/hosts.yml .config/rclone/rclone.conf .config/doctl/config.yaml .config/containers/auth.json',
  '.npmrc .pypirc .vault-token .terraform.d/credentials.tfrc.json .s3cfg .boto .cargo/credentials.toml .m2/settings.xml',
  '.gem/credentials .subversion/auth/svn.simple/a .davfs2/secrets .irods/.irodsA .vnc/passwd .composer/auth.json',
  '.authinfo .fetchmailrc .msmtprc .smbcredentials .password-store/mail.gpg .Xauthority .ICEauthority',
  '.local/share/keyrings/login.keyring admin-openrc.sh eucarc .oci/config .config/op/config .ansible/vault_pass',
  '.mozilla/firefox/a.default/logins.json .config/google-chrome/Default/Cookies .thunderbird/a.default/key4.db',
  '.sudo_as_admin_successful .local/share/recently-used.xbel .xsession-errors .wget-log',
].flatMap((line) => line.split(' '))

const everywhere = [
  // The logs of virt-sysprep's list, and some that nobody lists.
  '/var/log/audit/audit.log /var/log/btmp /var/log/cron /var/log/dmesg /var/log/lastlog /var/log/maillog /var/log/mail/statistics',
  '/var/log/secure /var/log/spooler /var/log/tallylog /var/log/wtmp /var/log/apache2/access_log /var/log/apache2/error_log-20260101',
  '/var/log/ntp /var/log/tuned/tuned.log /var/log/debug /var/log/faillog /var/log/firewalld /var/log/grubby /var/log/xferlog',
  '/var/log/BackupPC/LOG /var/log/ceph/mon.log /var/log/chrony/tracking.log /var/log/cups/access_log /var/log/httpd/access_log',
  '/var/log/glusterfs/glusterfs.log /var/log/jetty/jetty-console.log /var/log/libvirt/libvirtd.log /var/log/libvirt/qemu/a.log',
  '/var/log/ppp/connect-errors /var/log/setroubleshoot/a.log /var/log/squid/access.log /var/log/anaconda.syslog',
  '/var/log/anaconda/anaconda.log /var/log/sa/sa01 /var/log/gdm/a.log /var/log/lightdm/a.log /var/log/ntpstats/peerstats',
  '/var/log/rhsm/rhsm.log /var/log/journal/0123456789abcdef0123456789abcdef/system.journal /var/log/aptitude /var/log/apt/history.log',
  '/var/log/exim4/mainlog /var/log/ConsoleKit/history /var/log/samba/log.smbd /var/log/samba/old/log.a /var/log/sssd/sssd.log',
  '/var/log/puppet/agent.log /var/log/dump/a /var/log/atmo/atmo_boot.log /var/log/app/deep/er/today.log /var/log/a.log-20260101.gz',
  '/var/named/data/named.run /var/lib/logrotate.status /var/log/kern.log.2.gz /var/log/daemon.log.old',
  // Spools, dumps, caches.
  '/var/spool/abrt/a/backtrace /var/spool/at/a00001 /var/spool/atspool/a /var/crash/vmcore /var/spool/cron/root',
  '/var/cache/gdm/a /var/cache/fontconfig/a /var/cache/man/index.db /var/account/pacct /var/log/account/pacct',
  '/run/utmp /run/secrets/token /run/cloud-init/instance-data-sensitive.json /tmp/a/b/c/token /var/tmp/.x',
  // What tells one machine from another.
  '/etc/ssh/ssh_host_rsa_key /etc/ssh/ssh_host_ed25519_key.pub /var/lib/systemd/random-seed /var/lib/urandom/random-seed',
  '/var/lib/dhclient/dhclient-eth0.leases /var/lib/dhcpd/dhcpd.leases /var/lib/NetworkManager/timestamps /etc/nvme/hostnqn',
  '/etc/lvm/devices/system.devices /etc/blkid.tab /var/lib/dbus/machine-id',
  // Services and tools.
  '/var/lib/dovecot/instances /var/lib/samba/private/secrets.tdb /var/lib/sss/db/cache_a.ldb /var/lib/puppet/state/state.yaml',
  '/etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid- /etc/app.conf.bak /etc/app.conf~ /srv/a.bak',
  '/etc/ipa/default.conf /var/lib/ipa-client/sysrestore/a /etc/ppp/chap-secrets /etc/ipsec.secrets /etc/swanctl/private/a.pem',
  '/var/lib/tailscale/tailscaled.state /etc/docker/key.json /etc/kubernetes/admin.conf /etc/davfs2/secrets /etc/apt/auth.conf',
  '/etc/letsencrypt/accounts/a/private_key.json /etc/apache2/ssl/a.key /etc/credstore/a /srv/app/.env.production /var/lib/landscape/client/a',
].flatMap((line) => line.split(' '))

/** Further files of a guest of each family. */
export const familyFiles: Readonly<Record<GuestFamily, readonly string[]>> = {
  debian: [
    ...everywhere,
    ...'/var/lib/update-notifier/user.d/a /var/log/dpkg.log /var/log/apt/term.log.1.xz /var/log/bootstrap.log'.split(
      ' ',
    ),
    ...'/var/backups/shadow.bak /var/cache/apt/archives/a.deb /var/lib/apt/periodic/update-stamp'.split(' '),
  ],
  rhel: [
    ...everywhere,
    ...'/root/anaconda-ks.cfg /root/original-ks.cfg /root/install.log /root/install.log.syslog /root/anaconda-post.log'.split(
      ' ',
    ),
    ...'/etc/sysconfig/rhn/systemid /etc/sysconfig/rhn/osad-auth.conf /etc/pki/entitlement/1-key.pem'.split(
      ' ',
    ),
    ...'/etc/sysconfig/hw-uuid /etc/smolt/uuid /var/lib/rpm/__db.001 /var/lib/yum/uuid /var/cache/dnf/a /var/cache/yum/a'.split(
      ' ',
    ),
    ...'/etc/pki/tls/private/site.key /var/log/up2date /var/log/yum.log /var/log/dnf.rpm.log /var/log/boot.log-20260101'.split(
      ' ',
    ),
    ...'/etc/sysconfig/network-scripts/ifcfg-eth0 /etc/insights-client/machine-id'.split(' '),
  ],
}

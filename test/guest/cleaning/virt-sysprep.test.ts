import { describe, expect, it } from 'vitest'
import { applyCleaning } from '../../../src/guest/cleaning/apply-cleaning.ts'
import { planCleaning } from '../../../src/guest/cleaning/plan-cleaning.ts'
import { memoryGuest } from '../../support/memory-guest.ts'

/** A file for each of the globs of virt-sysprep's `logfiles`, and for those of operations with long lists. */
const below = {
  '/var/log/':
    'x.log.1 audit/audit.log btmp btmp.1 cron cron-20240101 dmesg dmesg.0 lastlog maillog mail/statistics messages secure spooler tallylog wtmp apache2/access_log apache2/error_log-20240101 ntp tuned/tuned.log debug syslog faillog firewalld grubby xferlog BackupPC/LOG ceph/osd.log chrony/tracking.log cups/access_log glusterfs/etc-glusterd.vol.log glusterfs/glusterfs.log httpd/access.log jetty/jetty-console.log libvirt/libxl/x.log libvirt/libvirtd.log libvirt/lxc/x.log libvirt/qemu/x.log libvirt/uml/x.log ppp/connect-errors setroubleshoot/x.log squid/x.log anaconda.syslog anaconda/x installer/x sa/sa01 gdm/x lightdm/x ntpstats/x rhsm/x journal/0123/system.journal aptitude apt/history.log exim4/mainlog ConsoleKit/history puppet/x samba/old/x sssd/x dump/x',
  '/root/':
    'install.log install.log.syslog anaconda-ks.cfg anaconda-post.log initial-setup-ks.cfg original-ks.cfg .bash_history .zsh_history .ssh/id_rsa',
  '/var/':
    'named/data/named.run lib/logrotate.status cache/gdm/x cache/fontconfig/x cache/man/x lib/fprint/x',
  '/var/lib/':
    'AccountService/users/x AccountsService/users/x dhclient/x dhcp/x dhcpd/x dovecot/x puppet/a/b puppet/a/b/c samba/a/b samba/a sss/db/x yum/uuid rpm/__db.001',
  '/etc/':
    'Pegasus/x.cnf Pegasus/x.crt Pegasus/x.csr Pegasus/x.pem Pegasus/x.srl krb5.keytab ipa/ca.crt ipa/default.conf lvm/devices/system.devices passwd- shadow- group- gshadow- subuid- subgid- pki/consumer/x pki/entitlement/x sysconfig/rhn/systemid sysconfig/rhn/osad-auth.conf sysconfig/hw-uuid smolt/uuid smolt/hw-uuid ssh/ssh_host_rsa_key udev/rules.d/70-persistent-net.rules NetworkManager/system-connections/x.nmconnection a.bak b~ blkid/blkid.tab blkid.tab.old',
  '/var/spool/': 'abrt/x cron/ann at/a atjobs/x atspool/x mail/ann',
} as const

describe('the default profile', () => {
  it('takes everything virt-sysprep takes by default', async () => {
    const paths = Object.entries(below).flatMap(([folder, names]) =>
      names.split(' ').map((name) => folder + name),
    )
    const guest = await memoryGuest({
      ...Object.fromEntries(paths.map((path) => [path, `secret of ${path}`])),
      '/etc/ssh/sshd_config': 'Port 22\n',
    })
    await applyCleaning(guest, await planCleaning(guest))
    const after = guest.filesystems[0]!.snapshot()
    expect(paths.filter((path) => after[path]?.includes('secret of'))).toEqual([])
    expect(after).toHaveProperty(['/etc/ssh/sshd_config'])
  })
})

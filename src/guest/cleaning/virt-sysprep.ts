/**
 * Every operation of virt-sysprep by its name: the operations of our catalogue that do the same, or why there is none.
 * Whoever comes from there looks a name up here.
 */
export const virtSysprepOperations: Readonly<Record<string, readonly string[] | string>> = {
  'abrt-data': ['abrt-data'],
  'backup-files': ['backup-files'],
  'bash-history': ['bash-history'],
  'blkid-tab': ['blkid-tab'],
  'ca-certificates': ['ca-certificates'],
  'crash-data': ['crash-data'],
  'cron-spool': ['cron-spool'],
  customize:
    'Nothing is run in a guest. A profile file edits and writes files, and --ssh-key, --remove-user and --lock-root change accounts; no password is ever set.',
  'dhcp-client-state': ['dhcp-client-state'],
  'dhcp-server-state': ['dhcp-server-state'],
  'dovecot-data': ['dovecot-data'],
  'firewall-rules': ['firewall-rules'],
  'flag-reconfiguration': ['flag-reconfiguration'],
  'fs-uuids':
    'New UUIDs of file systems leave a guest that does not start: boot loader, initramfs, fstab and resume name the old ones. Two clones never have their disks in one machine, so nothing is gained.',
  'ipa-client': ['ipa-client'],
  'kerberos-data': ['kerberos-data'],
  'kerberos-hostkeytab': ['kerberos-hostkeytab'],
  logfiles: ['logfiles', 'logs-rotated', 'journal', 'system-caches'],
  'lvm-system-devices': ['lvm-system-devices'],
  'lvm-uuids':
    'New UUIDs of volume groups do not match the initramfs and the list of devices in every guest. They are no secret, and matter only where disks of two clones are in one machine; vgimportclone(8) is for that.',
  'machine-id': ['machine-id'],
  'mail-spool': ['mail-spool'],
  'net-hostname': ['net-hostname'],
  'net-hwaddr': ['net-hwaddr'],
  'net-nmconn': ['net-nmconn'],
  'pacct-log': ['pacct-log'],
  'package-manager-cache': ['package-manager-cache'],
  'pam-data': ['pam-data'],
  'passwd-backups': ['passwd-backups'],
  'puppet-data-log': ['puppet-data-log', 'management-keys'],
  'rh-subscription-manager': ['rh-subscription-manager'],
  'rhn-systemid': ['rhn-systemid'],
  'rpm-db': ['rpm-db'],
  'samba-db-log': ['samba-db-log', 'logfiles'],
  script:
    'Nothing is run on this machine or in the guest. A profile file removes, empties, edits and writes files.',
  'smolt-uuid': ['smolt-uuid'],
  'ssh-hostkeys': ['ssh-hostkeys'],
  'ssh-userdir': ['ssh-userdir'],
  'sssd-db-log': ['sssd-db-log', 'logfiles'],
  'tmp-files': ['tmp-files'],
  'udev-persistent-net': ['udev-persistent-net'],
  'user-account': ['user-account'],
  utmp: ['utmp'],
  'yum-uuid': ['yum-uuid'],
  'zsh-history': ['zsh-history'],
}

/** For a name of virt-sysprep that is no operation here: what to do instead. `null` for any other name. */
export function operationsInstead(name: string): string | null {
  const known = Object.hasOwn(virtSysprepOperations, name) ? virtSysprepOperations[name] : undefined
  return typeof known === 'string' ? known : null
}

import type { CleaningOperation } from '../operation.ts'

const atmosphereBlock = { from: '## Atmosphere System', to: '## End Atmosphere System' }

/**
 * What Atmosphere's two generations of cleaning did beside what other operations do, without what they broke: no password,
 * no root login, no SELinux or host keys switched off, no block to the end of a file, no line by a word in its comment.
 */
export const atmosphereOperations: readonly CleaningOperation[] = [
  {
    id: 'atmosphere-files',
    title: 'Removes the files Atmosphere put into instances, and what it started from rc.local.',
    default: false,
    atmosphere: true,
    actions: [
      {
        remove: [
          '/etc/rc.local.atmo',
          '/usr/sbin/atmo_boot.py',
          '/var/log/atmo',
          '/opt/cyverse',
          '/var/lib/puppet/run/*.pid',
        ],
      },
      {
        edit: ['/etc/rc.local', '/etc/rc.d/rc.local'],
        editor: 'lines',
        parameters: { rules: { delete: ['*vncserver', '*shellinabox*'] } },
      },
    ],
  },
  {
    id: 'atmosphere-blocks',
    title: 'Removes the blocks Atmosphere marked as its own in sudoers, sshd_config and .bashrc.',
    default: false,
    atmosphere: true,
    actions: [
      {
        edit: [
          '/etc/sudoers',
          '/etc/sudoers.d/*',
          '/etc/ssh/sshd_config',
          '/etc/ssh/sshd_config.d/*.conf',
          '{home}/.bashrc',
        ],
        editor: 'lines',
        parameters: { rules: { blocks: [atmosphereBlock] } },
      },
      { edit: ['/etc/ssh/sshd_config'], editor: 'sshd-atmosphere-groups' },
    ],
  },
  {
    id: 'monitoring-blocks',
    title: 'Removes the blocks of Nagios and Sensu from sudoers.',
    default: false,
    atmosphere: true,
    actions: [
      {
        edit: ['/etc/sudoers', '/etc/sudoers.d/*'],
        editor: 'lines',
        parameters: {
          rules: {
            blocks: [
              { from: '# Begin Nagios', to: '# End Nagios' },
              { from: '# Begin Sensu', to: '# End Sensu' },
            ],
          },
        },
      },
    ],
  },
  {
    id: 'users-group',
    title: 'Takes all members out of the group users (100).',
    default: false,
    atmosphere: true,
    actions: [{ edit: ['/etc/group{,-}'], editor: 'group-users' }],
  },
  {
    id: 'data-disks',
    title:
      'Removes further disks of the instance from fstab, by the device they name, unless they are in the image.',
    default: false,
    strict: true,
    atmosphere: true,
    actions: [{ edit: ['/etc/fstab'], editor: 'fstab-data-disks' }],
  },
  {
    id: 'mount-points',
    title: 'Empties /mnt and /media, and what lies hidden below /proc and /sys.',
    default: false,
    atmosphere: true,
    risk: 'What was put into /mnt as a part of the image goes too.',
    actions: [{ empty: ['/mnt', '/media', '/proc', '/sys'] }],
  },
  {
    id: 'udev-net-generator',
    title:
      'Empties the rule by which old udev ties network interfaces to addresses, so that it does not do it again.',
    default: false,
    atmosphere: true,
    actions: [{ truncate: ['/{lib,usr/lib,etc}/udev/rules.d/75-persistent-net-generator.rules'] }],
  },
  {
    id: 'first-start-scripts',
    title: 'Removes scripts that virt-sysprep and cloud-init were to run once.',
    default: false,
    strict: true,
    atmosphere: true,
    risk: 'A set-up that was meant for the first start of every clone is not done.',
    actions: [
      {
        remove: [
          '/usr/lib/virt-sysprep/{scripts,scripts-done}/*',
          '/var/lib/cloud/scripts/per-{once,instance}/*',
        ],
        filesOnly: true,
      },
    ],
  },
]

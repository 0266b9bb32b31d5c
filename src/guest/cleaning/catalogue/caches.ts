import type { CleaningOperation } from '../operation.ts'

/** What the system can make again, and what was only for the moment. */
export const cacheOperations: readonly CleaningOperation[] = [
  {
    id: 'tmp-files',
    title: 'Empties /tmp and /var/tmp; the directories keep their modes.',
    default: true,
    actions: [{ empty: ['/tmp', '/var/tmp'] }],
  },
  {
    id: 'run-files',
    title: 'Empties /run, which the running guest never sees.',
    default: true,
    actions: [{ empty: ['/run'], when: 'systemd' }, { remove: ['/run/secrets/*'] }],
  },
  {
    id: 'backup-files',
    title: 'Removes the backup files editors leave below /etc, /root, /srv and /var.',
    default: true,
    actions: [
      {
        remove: ['/{etc,root,srv,var}/**/*.bak', '/{etc,root,srv,var}/**/*~', '/etc/**/.*.sw[op]'],
        filesOnly: true,
      },
    ],
  },
  {
    id: 'package-manager-cache',
    title: 'Removes downloaded packages and the caches of package managers.',
    default: true,
    actions: [
      {
        filesOnly: true,
        remove: [
          '/var/cache/apt/archives/**',
          '/var/cache/apt/*.bin',
          '/var/cache/{dnf,yum,libdnf5,PackageKit,urpmi}/**',
          '/var/cache/zypp*/**',
          '/var/cache/pacman/pkg/*',
          '/var/cache/apk/*',
          '/var/lib/apt/periodic/*',
        ],
        except: ['/var/cache/apt/archives/lock', '/var/cache/apt/archives/partial/lock'],
      },
    ],
  },
  {
    id: 'package-lists',
    title: 'Removes the lists of available packages.',
    default: false,
    strict: true,
    risk: 'Installing a package needs the lists to be fetched first.',
    actions: [{ remove: ['/var/lib/apt/lists/**'], filesOnly: true }],
  },
  {
    id: 'rpm-db',
    title: 'Removes the temporary files of the RPM database.',
    default: true,
    actions: [{ remove: ['/var/lib/rpm/__db.*', '/usr/lib/sysimage/rpm/__db.*'], filesOnly: true }],
  },
  {
    id: 'system-caches',
    title: 'Removes caches of the system that hold names of files, fonts, manuals and programs in use.',
    default: true,
    actions: [
      { remove: ['/var/cache/{gdm,fontconfig,man,ldconfig,motd-news,pollinate}/*', '/var/cache/locate/*'] },
      { remove: ['/var/lib/{mlocate/mlocate.db,plocate/plocate.db,slocate/slocate.db}'] },
    ],
  },
  {
    id: 'blkid-tab',
    title: 'Removes the cached list of block devices.',
    default: true,
    actions: [{ remove: ['/{var/run,run/blkid,etc/blkid,etc,dev}/{.,}blkid.tab{,.old}'], filesOnly: true }],
  },
  {
    id: 'swap-files',
    title:
      'Removes swap files, which hold memory, and their fstab records; swap partitions are wiped and stay.',
    default: true,
    risk: 'The guest has no swap until somebody makes a new swap file.',
    actions: [
      { remove: ['{swap-file}', '/{swapfile,swap.img,swap.file}'], filesOnly: true },
      { edit: ['/etc/fstab'], editor: 'fstab-swap-files' },
    ],
  },
]

import type { CleaningOperation } from '../operation.ts'

/** Logs are emptied, not removed: a service that runs as nobody in particular cannot make its log again. */
export const logOperations: readonly CleaningOperation[] = [
  {
    id: 'journal',
    title: 'Removes the journals of systemd.',
    default: true,
    actions: [{ empty: ['/var/log/journal'] }],
  },
  {
    id: 'logs-rotated',
    title: 'Removes rotated and compressed logs.',
    default: true,
    actions: [
      {
        filesOnly: true,
        remove: [
          '/var/log/**/*.{gz,xz,zst,bz2,lz4,Z,old,[0-9],[0-9][0-9],[0-9][0-9][0-9]}',
          '/var/log/**/*.{log,err}.[0-9]*',
          '/var/log/**/*-[0-9][0-9][0-9][0-9][01][0-9][0-3][0-9]*',
          '/var/log/**/*.log-*',
        ],
      },
      { remove: ['{rotated-log}'], filesOnly: true },
    ],
  },
  {
    id: 'logfiles',
    title:
      'Empties every log below /var/log, and those elsewhere that logrotate or cloud-init are set up for; owner, mode, attributes and inode stay.',
    default: true,
    actions: [
      { truncate: ['{log-file}'] },
      { truncate: ['/var/log/**', '/var/named/data/named.run', '/var/lib/{libvirt,lxc,lxd}/**/*.log'] },
      {
        remove: [
          '/var/lib/logrotate.status',
          '/var/lib/{logrotate,logrotate/logrotate}/{status,logrotate.status}',
          '/root/{install.log,install.log.syslog,anaconda-ks.cfg,anaconda-post.log,initial-setup-ks.cfg,original-ks.cfg}',
          '/root/*.log',
          '/var/lib/{AccountService,AccountsService}/users/*',
          '/var/lib/fprint/*',
          '/etc/Pegasus/*.{cnf,crt,csr,pem,srl}',
        ],
      },
    ],
  },
  {
    id: 'pacct-log',
    title: 'Empties the process accounting log.',
    default: true,
    actions: [
      { truncate: ['/var/account/pacct', '/var/log/account/pacct'] },
      { remove: ['/var/account/pacct[-.]*'] },
    ],
  },
  {
    id: 'utmp',
    title: 'Removes the records of who is signed in.',
    default: true,
    actions: [
      { remove: ['/var/run/{utmp,utmpx}', '/run/utmp', '/var/lib/{wtmpdb,lastlog}/*.db*'], filesOnly: true },
    ],
  },
  {
    id: 'crash-data',
    title: 'Removes crash dumps and core dumps.',
    default: true,
    actions: [
      {
        empty: [
          '/var/crash',
          '/var/log/dump',
          '/var/lib/systemd/{coredump,pstore}',
          '/var/lib/apport/coredump',
        ],
      },
      { remove: ['/{core,core.[0-9]*,vmcore}'], filesOnly: true },
    ],
  },
  {
    id: 'abrt-data',
    title: 'Removes the reports of ABRT.',
    default: true,
    actions: [{ empty: ['/var/spool/abrt', '/var/spool/abrt-upload', '/var/tmp/abrt'] }],
  },
]

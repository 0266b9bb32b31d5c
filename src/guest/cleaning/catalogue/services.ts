import type { CleaningOperation } from '../operation.ts'

/** State of services, with what they know of people and of other machines. */
export const serviceOperations: readonly CleaningOperation[] = [
  {
    id: 'mail-spool',
    title: 'Removes waiting and delivered mail.',
    default: true,
    actions: [
      { empty: ['/var/spool/mail', '/var/mail'] },
      {
        filesOnly: true,
        remove: [
          '/var/spool/{exim,exim4}/{input,msglog,scan,db}/**',
          '/var/spool/postfix/{active,bounce,corrupt,defer,deferred,flush,hold,incoming,maildrop,saved,trace}/**',
          '/var/spool/{mqueue,clientmqueue,nullmailer/queue,msmtp}/*',
        ],
      },
    ],
  },
  {
    id: 'cron-spool',
    title: 'Removes the cron tables and at jobs of users.',
    default: true,
    risk: 'A service that a user’s own cron table starts does not run any more.',
    actions: [
      { write: ['/var/spool/{at,cron/atjobs,atjobs}/.SEQ'], content: 'job-sequence' },
      {
        remove: ['/var/spool/{cron,at}/**', '/var/spool/{atjobs,atspool}/*', '/var/spool/fcron/*'],
        except: ['/var/spool/{at,cron/atjobs,atjobs}/.SEQ'],
        filesOnly: true,
      },
    ],
  },
  {
    id: 'anacron-state',
    title: 'Removes the times at which periodic jobs last ran.',
    default: true,
    actions: [{ remove: ['/var/spool/anacron/*', '/var/lib/systemd/timers/stamp-*'], filesOnly: true }],
  },
  {
    id: 'print-spool',
    title: 'Removes print jobs.',
    default: true,
    actions: [{ remove: ['/var/spool/{cups,lpd}/**', '/var/cache/cups/job.cache*'], filesOnly: true }],
  },
  {
    id: 'dhcp-server-state',
    title: 'Removes the leases a DHCP server has given.',
    default: true,
    actions: [
      { remove: ['/var/lib/{dhcpd,kea}/*', '/var/lib/misc/dnsmasq.leases', '/var/lib/dnsmasq/*.leases'] },
    ],
  },
  {
    id: 'dovecot-data',
    title: 'Removes the state of Dovecot.',
    default: true,
    actions: [{ remove: ['/var/lib/dovecot/*'], filesOnly: true }],
  },
  {
    id: 'samba-db-log',
    title: 'Removes the databases of Samba, with the machine’s account and passwords.',
    default: true,
    actions: [{ remove: ['/var/lib/samba/**', '/var/cache/samba/**'], filesOnly: true }],
  },
  {
    id: 'sssd-db-log',
    title: 'Removes the cached accounts and credentials of SSSD.',
    default: true,
    actions: [
      { remove: ['/var/lib/sss/{db,mc,secrets,keytabs}/*', '/var/cache/{nscd,nslcd}/*'], filesOnly: true },
    ],
  },
  {
    id: 'pam-data',
    title: 'Removes the state of PAM modules.',
    default: true,
    actions: [{ remove: ['/var/run/{console,faillock,sepermit}/*', '/var/lib/{faillock,pam_tally}/*'] }],
  },
  {
    id: 'puppet-data-log',
    title: 'Removes the state of Puppet.',
    default: true,
    actions: [{ remove: ['/var/lib/puppet/*/*', '/opt/puppetlabs/puppet/cache/*/*'] }],
  },
  {
    id: 'service-identity',
    title: 'Removes the identifiers by which databases and message servers know each other.',
    default: true,
    actions: [
      {
        remove: [
          '/var/lib/{mysql,mysql-*}/auto.cnf',
          '/var/lib/rabbitmq/.erlang.cookie',
          '/var/lib/couchdb/.erlang.cookie',
          '/var/lib/{minio,etcd}/.id',
          '/var/lib/grafana/.secret',
        ],
      },
    ],
  },
  {
    id: 'database-logs',
    title: 'Removes the write-ahead logs of PostgreSQL, and the binary logs of MySQL.',
    default: false,
    risk: 'A database that was not shut down cleanly is lost.',
    actions: [
      { remove: ['/var/lib/{postgresql/*/*,pgsql/data,pgsql/*/data}/{pg_wal,pg_xlog}/**'], filesOnly: true },
      { remove: ['/var/lib/mysql/{binlog,mysql-bin,relay-bin}.[0-9i]*'], filesOnly: true },
    ],
  },
  {
    id: 'passwd-backups',
    title: 'Removes the previous versions of the account files.',
    default: true,
    actions: [
      {
        remove: [
          '/etc/{group,gshadow,passwd,shadow,subuid,subgid}-',
          '/etc/{group,gshadow,passwd,shadow,subuid,subgid}.{org,bak,old,lock}',
          '/etc/security/opasswd.old',
          '/var/backups/{group,gshadow,passwd,shadow}.bak',
        ],
      },
      { truncate: ['/etc/security/opasswd'] },
    ],
  },
  {
    id: 'firewall-rules',
    title: 'Removes firewall rules.',
    default: false,
    risk: 'The guest starts without its firewall.',
    actions: [{ remove: ['/etc/sysconfig/{iptables,ip6tables}', '/etc/firewalld/{services,zones}/*'] }],
  },
]

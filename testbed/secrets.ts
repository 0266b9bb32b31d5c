import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { familyFiles, type GuestFamily, moreHomeFiles } from './family-secrets.ts'

export type SecretGroup =
  | 'homes'
  | 'logs'
  | 'spools'
  | 'cloud-init'
  | 'network'
  | 'services'
  | 'opt-in'
  | 'family'
  | 'deleted'

/** How a secret gets into a guest. All leave its marker in the disk's bytes. */
export type SecretPlanting =
  /** Appended to the file, which stays. */
  | 'file'
  /** The file is written to the disk, then unlinked. */
  | 'deleted-file'
  /** The marker is the name of a file that is unlinked. */
  | 'deleted-name'
  /** The file is unlinked while a process keeps it open. Running guests only. */
  | 'open-file'
  /** Written through syslog, so that the journal has it too. Running guests only. */
  | 'log'

export interface Secret {
  /** Found nowhere else. */
  readonly marker: string
  readonly group: SecretGroup
  readonly planting: SecretPlanting
  readonly path: string
  readonly content: string | Uint8Array
  readonly mode: number
  /** The user who owns it; root otherwise. */
  readonly owner: GuestUser | null
}

export interface GuestUser {
  readonly name: string
  readonly home: string
  readonly uid: number
}

export interface SecretPlan {
  /** Tells the markers of this plan from those of any other. */
  readonly run: string
  readonly users: readonly GuestUser[]
  readonly secrets: readonly Secret[]
}

/** Beside root: a usual user, and one whose home is not below /home. */
export const plantedUsers: readonly GuestUser[] = [
  { name: 'alice', home: '/home/alice', uid: 2001 },
  { name: 'dev', home: '/srv/home/dev', uid: 2002 },
]

/** Cleaning operations for the secrets of the group `opt-in`: the default profile would break a service with them. */
export const optInOperations = ['snapd-state', 'database-logs']

export interface PlanSecretsOptions {
  /** For a guest that runs instead of one that is built. */
  running: boolean
  optIn?: boolean
  /** Everything that cleaners are known to remove from such guests as well, about as much again; for built guests only. */
  family?: GuestFamily
}

/**
 * Chooses about 165 secrets: every kind that virt-sysprep is known to leave behind, in the homes of root and of
 * two users, and in what was deleted.
 */
export function planSecrets(options: PlanSecretsOptions): SecretPlan {
  const users = plantedUsers
  const run = randomBytes(4).toString('hex')
  const homes = [{ name: 'root', home: '/root', uid: 0 }, ...users]
  const wanted: Wanted[] = [
    ...homes.flatMap((user) =>
      homeFiles.map((path): Wanted => ({ group: 'homes', path: `${user.home}/${path}`, owner: user })),
    ),
    ...Object.entries(systemFiles).flatMap(([group, paths]) =>
      paths.map((path): Wanted => ({ group: group as keyof typeof systemFiles, path })),
    ),
    ...deletedFiles.map((path): Wanted => ({ group: 'deleted', path, planting: 'deleted-file' })),
    ...deletedNames.map((path): Wanted => ({ group: 'deleted', path, planting: 'deleted-name' })),
    ...(options.running ? runningOnly : []),
    ...(options.optIn ? optIn : []),
    ...(options.family ? ofFamily(options.family, homes) : []),
  ]
  return { run, users, secrets: wanted.map((secret, index) => complete(secret, run, index)) }
}

/** The bytes every marker of a run starts with; four digits and a dash follow. */
export function markerPrefix(run: string): string {
  return `MARKER-${run}-`
}

interface Wanted {
  group: SecretGroup
  path: string
  planting?: SecretPlanting
  owner?: GuestUser
}

function complete({ group, path, planting = 'file', owner }: Wanted, run: string, index: number): Secret {
  const marker = `${markerPrefix(run)}${String(index).padStart(4, '0')}-`
  const isPublic = group === 'logs' || group === 'network'
  return {
    marker,
    group,
    planting,
    path: planting === 'deleted-name' ? `${path}${marker}` : path,
    content: contentOf(path, marker, planting),
    mode: isPublic ? 0o644 : 0o600,
    owner: owner && owner.uid !== 0 ? owner : null,
  }
}

function contentOf(path: string, marker: string, planting: SecretPlanting): string | Uint8Array {
  // Stored, not deflated, so that the marker stands in the file as it is.
  if (/\/ifcfg-[^/]+$/.test(path)) return `DEVICE=eth0\nHWADDR=${marker}\nBOOTPROTO=dhcp\n`
  if (path.endsWith('.gz')) return gzipSync(`GET /?token=${marker}\n`, { level: 0 })
  if (planting === 'deleted-file') return `line of a deleted file with ${marker}\n`.repeat(400)
  // A comment to sshd, sudo, cron, networkd and every shell that will read it.
  return `# secret ${marker}\n`
}

function ofFamily(family: GuestFamily, homes: readonly GuestUser[]): Wanted[] {
  return [
    ...homes.flatMap((owner) =>
      moreHomeFiles.map((path): Wanted => ({ group: 'family', path: `${owner.home}/${path}`, owner })),
    ),
    ...familyFiles[family].map((path): Wanted => ({ group: 'family', path })),
  ]
}

const homeFiles = [
  ...[
    '.bash_history',
    '.zsh_history',
    '.python_history',
    '.mysql_history',
    '.psql_history',
    '.sqlite_history',
  ],
  ...['.node_repl_history', '.rediscli_history', '.viminfo', '.lesshst', '.wget-hsts'],
  ...['.local/share/fish/fish_history', '.aws/credentials', '.azure/accessTokens.json'],
  ...[
    '.config/gcloud/credentials.db',
    '.config/openstack/clouds.yaml',
    '.kube/config',
    '.docker/config.json',
  ],
  ...['.git-credentials', '.netrc', '.pgpass', '.my.cnf', '.gnupg/private-keys-v1.d/0123456789.key'],
  ...['.ssh/id_ed25519', '.ssh/authorized_keys', '.ssh/known_hosts', '.cache/pip/http/response'],
  ...['.ansible/tmp/payload', 'notes.bak', '.local/share/Trash/files/a letter.txt'],
]

const systemFiles = {
  logs: [
    ...[
      '/var/log/auth.log',
      '/var/log/syslog.1',
      '/var/log/nginx/access.log',
      '/var/log/nginx/access.log.1.gz',
    ],
    ...['/var/log/postgresql/postgresql-15-main.log', '/var/log/myapp/debug.log', '/var/log/sysstat/sa01'],
    ...['/var/log/amazon/ssm/amazon-ssm-agent.log', '/var/log/unattended-upgrades/unattended-upgrades.log'],
    ...['/var/log/cloud-init.log', '/var/log/cloud-init-output.log', '/var/log/installer/syslog'],
    ...['/var/lib/systemd/coredump/core.app.1000.zst', '/var/lib/logrotate/status'],
    ...['/var/crash/_usr_bin_app.1000.crash'],
  ],
  spools: [
    ...[
      '/tmp/upload.tmp',
      '/tmp/.hidden/token',
      '/var/tmp/editor.swp',
      '/var/mail/alice',
      '/var/spool/mail/dev',
    ],
    ...['/var/spool/cron/crontabs/alice', '/var/spool/cron/atjobs/a00001', '/var/spool/anacron/cron.daily'],
    ...['/var/cache/apt/archives/partial/private.deb', '/var/cache/debconf/passwords.dat'],
  ],
  'cloud-init': [
    ...[
      '/var/lib/cloud/instances/i-planted/user-data.txt',
      '/var/lib/cloud/instances/i-planted/sem/config_ssh',
    ],
    ...['/var/lib/cloud/instances/i-planted/scripts/part-001', '/var/lib/cloud/data/previous-instance-id'],
    ...['/var/lib/cloud/seed/nocloud/user-data', '/etc/netplan/50-cloud-init.yaml'],
    ...['/etc/systemd/network/10-cloud-init-planted.network', '/etc/ssh/sshd_config.d/50-cloud-init.conf'],
    ...['/etc/sudoers.d/90-cloud-init-users', '/etc/network/interfaces.d/50-cloud-init.cfg'],
  ],
  network: [
    ...['/var/lib/dhcp/dhclient.eth0.leases', '/var/lib/dhcpcd/duid', '/var/lib/dhcpcd5/duid'],
    ...['/etc/NetworkManager/system-connections/wifi.nmconnection', '/var/lib/NetworkManager/secret_key'],
    ...[
      '/var/lib/NetworkManager/internal-1-eth0.lease',
      '/etc/iscsi/initiatorname.iscsi',
      '/etc/nvme/hostid',
    ],
    ...['/etc/udev/rules.d/70-persistent-net.rules'],
  ],
  services: [
    ...['/etc/ssl/private/site.key', '/etc/letsencrypt/live/site/privkey.pem', '/etc/openvpn/client.key'],
    ...[
      '/etc/wireguard/wg0.conf',
      '/etc/puppet/ssl/private_keys/host.pem',
      '/etc/salt/pki/minion/minion.pem',
    ],
    ...[
      '/etc/puppetlabs/puppet/ssl/private_keys/host.pem',
      '/etc/chef/client.pem',
      '/etc/rancher/k3s/k3s.yaml',
    ],
    ...['/var/lib/kubelet/pki/kubelet.key', '/var/lib/systemd/credential.secret', '/opt/app/.env'],
    ...['/var/www/app/.env', '/var/lib/amazon/ssm/registration'],
    ...['/var/lib/ubuntu-advantage/private/machine-token.json', '/var/lib/waagent/ovf-env.xml'],
    ...['/var/lib/docker/network/files/local-kv.db', '/var/lib/mysql/auto.cnf'],
    ...['/etc/pki/consumer/key.pem'],
    ...['/etc/krb5.keytab'],
  ],
} satisfies Partial<Record<SecretGroup, readonly string[]>>

const deletedFiles = [
  ...[
    '/home/alice/deleted-keys.txt',
    '/root/deleted-dump.sql',
    '/var/log/deleted.log',
    '/var/tmp/deleted-upload',
  ],
  ...['/srv/home/dev/deleted-wallet.dat', '/etc/deleted.conf'],
]

const deletedNames = ['/home/alice/', '/root/', '/var/tmp/', '/etc/', '/var/spool/']

const runningOnly: readonly Wanted[] = [
  { group: 'deleted', path: '/var/tmp/kept-open', planting: 'open-file' },
  { group: 'logs', path: '/var/log/syslog', planting: 'log' },
]

const optIn: readonly Wanted[] = [
  { group: 'opt-in', path: '/var/lib/snapd/state.json' },
  { group: 'opt-in', path: '/var/lib/postgresql/15/main/pg_wal/000000010000000000000001' },
]

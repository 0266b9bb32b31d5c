import type { AbortOptions } from '../src/core/abort.ts'
import { file, type GuestEntry } from './guest-tree.ts'
import { type GuestUser, planSecrets, type Secret, type SecretPlan } from './secrets.ts'
import { quoteForShell, runScriptAsRoot, type SshTarget } from './ssh.ts'

/** Plants secrets in a running Debian guest, through its own file system and system log; all are on the disk then. */
export async function plantSecrets(
  target: SshTarget,
  { optIn = false, signal }: AbortOptions & { optIn?: boolean } = {},
): Promise<SecretPlan> {
  const plan = planSecrets({ running: true, optIn })
  const script = [
    ...plan.users.map(makeUser),
    // Where it exists, the journal is on the disk instead of in memory.
    'mkdir -p /var/log/journal && systemctl restart systemd-journald && journalctl --flush',
    ...plan.secrets.map(plantingCommands),
    ...plan.users.map(({ name, home }) => `chown -R ${name}:${name} ${home}`),
    'journalctl --sync',
    // The deleted files reach the disk first, then their deletion does.
    'sync',
    ...plan.secrets.map(deletingCommands),
    'sync',
  ]
  await runScriptAsRoot(target, `${script.filter(Boolean).join('\n')}\n`, { timeout: 300_000, signal })
  return plan
}

/** The same secrets as entries for a guest that is built instead of booted. */
export function secretEntries(plan: SecretPlan): { entries: GuestEntry[]; deleted: GuestEntry[] } {
  const entryOf = ({ path, content, mode, owner }: Secret) =>
    file(path, content, { mode, uid: owner?.uid ?? 0, gid: owner?.uid ?? 0 })
  return {
    entries: [...cloudInit, ...plan.secrets.filter(({ planting }) => planting === 'file').map(entryOf)],
    deleted: plan.secrets.filter(({ planting }) => planting !== 'file').map(entryOf),
  }
}

/** Only where cloud-init is there are the files it makes its own, and may go. */
const cloudInit = [
  file('/usr/bin/cloud-init', '#!/bin/sh\n', { mode: 0o755 }),
  file('/etc/cloud/cloud.cfg', 'users: [default]\n'),
]

function makeUser({ name, home, uid }: GuestUser): string {
  return `mkdir -p ${home.slice(0, home.lastIndexOf('/'))} && useradd -m -u ${uid} -d ${home} -s /bin/bash ${name}`
}

function plantingCommands({ planting, path, content, mode, marker }: Secret): string {
  if (planting === 'log') return `logger -t planted ${quoteForShell(marker)}`
  const base64 = Buffer.from(content).toString('base64')
  const [quoted, folder] = [quoteForShell(path), quoteForShell(path.slice(0, path.lastIndexOf('/') + 1))]
  // A file that is there keeps its mode: sshd and sudo would refuse another.
  return `mkdir -p ${folder}; [ -e ${quoted} ] || install -m ${mode.toString(8)} /dev/null ${quoted}
echo ${base64} | base64 -d >> ${quoted}`
}

function deletingCommands({ planting, path }: Secret): string {
  switch (planting) {
    case 'deleted-file':
    case 'deleted-name':
      return `rm ${quoteForShell(path)}`
    case 'open-file':
      return `setsid sh -c 'exec 3< ${path}; rm ${path}; exec sleep 100000' < /dev/null > /dev/null 2>&1 &`
    case 'file':
    case 'log':
      return ''
  }
}

import { execFileSync, spawnSync } from 'node:child_process'

/**
 * Runs a TypeScript file with a tmpfs of `size` bytes as its working folder, in a mount namespace of its own, so that
 * nothing is left mounted. Gives what it printed.
 */
export function runInSmallFilesystem(file: string, size: number): string {
  const script = 'mount -t tmpfs -o size="$1" none /mnt && cd /mnt && exec "$2" "$3"'
  return execFileSync(
    'unshare',
    [...unshareOptions(), 'sh', '-c', script, 'sh', `${size}`, process.execPath, file],
    { encoding: 'utf8', timeout: 30_000 },
  )
}

/** Whether this user may mount a tmpfs; says so, and fails instead of giving true where `CI` is set. */
export function missingSmallFilesystem(): boolean {
  const tried = spawnSync('unshare', [...unshareOptions(), 'mount', '-t', 'tmpfs', 'none', '/mnt'])
  if (tried.status === 0) return false
  const message = 'mounting a small tmpfs is not allowed (needs root, or user namespaces)'
  if (process.env.CI) throw new Error(`CI must not skip tests: ${message}.`)
  process.stderr.write(`SKIPPED TESTS: ${message}\n`)
  return true
}

function unshareOptions(): string[] {
  return process.getuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount']
}

import type { AbortOptions } from '../src/core/abort.ts'
import { runProgram } from '../src/core/program.ts'

/**
 * Lets the Debian guest in a raw disk start without looking for its cloud, which is more than half of an emulated boot: for
 * tests of whether it starts at all.
 */
export async function disableCloudInit(path: string, { signal }: AbortOptions = {}): Promise<void> {
  const firstPartition = `${path}?offset=${1024 * 1024}`
  const request = 'write /dev/null /etc/cloud/cloud-init.disabled'
  await runProgram('debugfs', ['-w', '-R', request, firstPartition], {
    timeout: 60_000,
    package: 'e2fsprogs',
    signal,
  })
}

import { spawnSync } from 'node:child_process'
import type { Disk } from '../../src/disk/disk.ts'
import { writeRaw } from '../../src/disk/raw/raw-writer.ts'
import { GuestError } from '../../src/guest/errors.ts'
import { createFileSink } from '../../src/transfer/file-sink.ts'

const environment = {
  ...process.env,
  PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
  LC_ALL: 'C',
  MTOOLS_SKIP_CHECK: '1',
}

/** Runs mkfs.vfat or one of the mtools, the independent readers and writers of FAT. */
export function runFatTool(program: string, programArguments: readonly string[]): Buffer {
  const { status, stdout, stderr } = spawnSync(program, programArguments, {
    env: environment,
    maxBuffer: 1e9,
  })
  if (status !== 0) throw new Error(`${program} ${programArguments.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

/** What fsck.vfat says beside its totals. */
export function fatComplaints(path: string): string {
  const { status, stdout } = spawnSync('fsck.vfat', ['-n', path], { env: environment, encoding: 'latin1' })
  return status === 0 && stdout.split('\n').length === 3 ? '' : stdout
}

export const readWithMtools = (path: string, name: string): Buffer =>
  runFatTool('mtype', ['-i', path, `::${name}`])

export async function storeDisk(disk: Disk, path: string): Promise<string> {
  const sink = await createFileSink(path, { durable: false, overwrite: true })
  await writeRaw(disk, sink, {})
  await sink.finish()
  return path
}

/** Fails for every error that is not one of ours. */
export async function expectOwnError(use: () => Promise<unknown>): Promise<void> {
  try {
    await use()
  } catch (error) {
    if (!(error instanceof GuestError)) throw error
  }
}

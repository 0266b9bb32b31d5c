import { statfs } from 'node:fs/promises'
import { formatSize, GiB } from '../../core/bytes.ts'
import { isCancellation } from '../../core/errors.ts'
import { checkRow, detailOf } from '../check-row.ts'
import type { CloudCheck } from '../cloud.ts'
import { examineHypervisor, type HypervisorOptions } from './hypervisor.ts'
import type { LocalFolder } from './local-folder.ts'
import { withScratch } from './scratch.ts'

/** Less than this is no room for an image worth the name. */
const scarceSpace = GiB

/** What the embedded cloud can do on this machine. */
export async function checkLocalCloud(
  folder: LocalFolder,
  options: HypervisorOptions,
): Promise<CloudCheck[]> {
  const rows = [
    await checkRow('folder is writable', async () => {
      await withScratch(folder, async () => undefined)
      return folder.path
    }),
    await checkRow('free space', async () => {
      const { bavail, bsize } = await statfs(folder.path)
      if (bavail * bsize < scarceSpace) throw new Error(`only ${formatSize(bavail * bsize)} free`)
      return formatSize(bavail * bsize)
    }),
  ]
  try {
    const { version, accelerator, reason, sandbox } = await examineHypervisor(folder, options)
    return [
      ...rows,
      { capability: 'run instances', allowed: true, detail: `${options.hypervisor} ${version}` },
      { capability: 'hardware virtualisation', allowed: accelerator === 'kvm', detail: reason },
      { capability: 'confinement of instances (seccomp)', allowed: sandbox },
    ]
  } catch (error) {
    if (isCancellation(error)) throw error
    return [...rows, { capability: 'run instances', allowed: false, detail: detailOf(error) }]
  }
}

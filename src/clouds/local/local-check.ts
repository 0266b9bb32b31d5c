import { statfs } from 'node:fs/promises'
import { formatSize, GiB } from '../../core/bytes.ts'
import { ImagewrightError, isCancellation } from '../../core/errors.ts'
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
    await row('folder is writable', async () => {
      await withScratch(folder, async () => undefined)
      return folder.path
    }),
    await row('free space', async () => {
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

async function row(capability: string, attempt: () => Promise<string>): Promise<CloudCheck> {
  try {
    return { capability, allowed: true, detail: await attempt() }
  } catch (error) {
    return { capability, allowed: false, detail: detailOf(error) }
  }
}

function detailOf(error: unknown): string {
  if (error instanceof ImagewrightError && error.hint) return `${error.message} ${error.hint}`
  return error instanceof Error ? error.message : String(error)
}

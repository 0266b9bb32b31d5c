import { basename } from 'node:path'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { TransferError } from '../../transfer/errors.ts'
import { openFileSource } from '../../transfer/file-source.ts'
import { confinedPath } from '../confined-path.ts'
import { Findings } from '../safety/findings.ts'
import type { UnwrapOptions, Unwrapped, Wrapping } from '../wrapping/wrapping.ts'
import type { PackageFile } from './package-files.ts'
import { unwrapAppliance } from './unwrap-appliance.ts'

/**
 * An appliance that lies in a folder: its descriptor was opened, and its other files are opened where that is allowed,
 * directly beside it only.
 */
export const ovfWrapping: Wrapping = {
  async unwrap(source, options): Promise<Unwrapped> {
    const folder = options.allowOtherFilesWithin
    if (folder === undefined) return refuseOtherFiles()
    const opened = new Map<string, PackageFile>()
    const close = async (): Promise<void> => {
      for (const file of opened.values()) await file.source.close()
    }
    const find = async (name: string): Promise<PackageFile | null> => {
      const known = opened.get(name)
      if (known) return known
      const found = await openBeside(folder, name, options)
      if (!found) return null
      const file = { name, source: found }
      opened.set(name, file)
      return file
    }
    try {
      const name = basename(source.name)
      const stem = name.replace(/\.ovf$/i, '')
      const unwrapped = await unwrapAppliance(
        {
          descriptor: { name, source },
          manifest: await find(`${stem}.mf`),
          isSigned: (await find(`${stem}.cert`)) !== null,
          find,
        },
        options,
      )
      const { image } = unwrapped
      if (!image) {
        await close()
        return { ...unwrapped, wrapping: 'ovf', image }
      }
      const closeAll = async (): Promise<void> => {
        await image.close()
        await close()
      }
      return { ...unwrapped, wrapping: 'ovf', image: { ...image, close: closeAll } }
    } catch (error) {
      await close()
      throw error
    }
  },
}

async function openBeside(
  folder: string,
  name: string,
  { signal }: UnwrapOptions,
): Promise<RandomAccessSource | null> {
  try {
    return await openFileSource(await confinedPath(folder, name), { signal })
  } catch (error) {
    if (error instanceof TransferError && error.code === 'SOURCE_NOT_FOUND') return null
    throw error
  }
}

function refuseOtherFiles(): Unwrapped {
  const findings = new Findings({ 'ovf.other_files': 'The files of the appliance may be opened.' })
  findings.refuse('ovf.other_files', 'IMAGE_DATA_FILE', undefined, () => {
    return 'It is a descriptor alone; the disks are other files, which were not allowed (--allow-backing).'
  })
  return { wrapping: 'ovf', checks: findings.results(), image: null }
}

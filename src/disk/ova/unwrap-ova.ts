import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { memberSource } from '../tar/member-source.ts'
import type { TarContent, TarMember } from '../tar/read-tar.ts'
import type { UnwrapOptions, Unwrapped } from '../wrapping/wrapping.ts'
import type { PackageFile, PackageFiles } from './package-files.ts'
import { unwrapAppliance } from './unwrap-appliance.ts'

/** Whether an archive is an appliance: it has a descriptor. */
export function isOva(members: readonly TarMember[]): boolean {
  return members.some(({ name }) => isDescriptor(name))
}

/** The chosen disk of an OVA (DSP0243, "OVA"), an archive that was read already. */
export async function unwrapOva(
  archive: RandomAccessSource,
  { members, checks }: TarContent,
  options: UnwrapOptions,
): Promise<Unwrapped> {
  const unwrapped = await unwrapAppliance(packageFiles(archive, members), options)
  return { ...unwrapped, wrapping: 'ova', checks: [...checks, ...unwrapped.checks] }
}

/** The descriptor nearest to the front counts, where there are several; the others are files like any. */
function packageFiles(archive: RandomAccessSource, members: readonly TarMember[]): PackageFiles {
  const descriptor = members.find(({ name }) => isDescriptor(name))
  if (!descriptor) throw new Error(`${archive.name} has no descriptor.`)
  const folder = descriptor.name.slice(0, descriptor.name.lastIndexOf('/') + 1)
  const stem = descriptor.name.replace(/\.ovf$/i, '')
  const files = new Map(
    members
      .filter(({ name }) => name.startsWith(folder))
      .map((member): [string, PackageFile] => {
        const name = member.name.slice(folder.length)
        return [name, { name, source: memberSource(archive, member) }]
      }),
  )
  const named = (extension: string): PackageFile | null => {
    const wanted = `${stem}${extension}`.slice(folder.length).toLowerCase()
    return [...files.values()].find(({ name }) => name.toLowerCase() === wanted) ?? null
  }
  const file = files.get(descriptor.name.slice(folder.length))
  if (!file) throw new Error(`${descriptor.name} is not in its own folder.`)
  return {
    descriptor: file,
    manifest: named('.mf') ?? only(files, '.mf'),
    isSigned: (named('.cert') ?? only(files, '.cert')) !== null,
    find: async (name) => files.get(name) ?? null,
  }
}

/** The one file that ends so, whatever its name: it should be the descriptor's, and is not always. */
function only(files: ReadonlyMap<string, PackageFile>, extension: string): PackageFile | null {
  const found = [...files.values()].filter(({ name }) => name.toLowerCase().endsWith(extension))
  return found.length === 1 ? (found[0] ?? null) : null
}

function isDescriptor(name: string): boolean {
  return /\.ovf$/i.test(name)
}

import type { Appliance } from './appliance.ts'
import type { ChosenDisk } from './choose-disk.ts'
import { type ManifestEntry, manifestAlgorithms } from './manifest.ts'
import type { SealedFile } from './manifest-proof.ts'
import type { OvfDescriptor } from './ovf-descriptor.ts'
import type { PackageFile, PackageFiles } from './package-files.ts'

export interface PackageFacts {
  descriptor: OvfDescriptor
  manifest: readonly ManifestEntry[] | null
  /** The files that are there, by their id. */
  resolved: ReadonlyMap<string, PackageFile>
  /** Those that the manifest has a digest of. */
  sealed: readonly SealedFile[]
  chosen: ChosenDisk | null
}

/** What an appliance is, from its descriptor and the files that are there. */
export function describePackage(
  files: PackageFiles,
  { descriptor, manifest, resolved, sealed, chosen }: PackageFacts,
): Appliance {
  const all = [files.descriptor, ...resolved.values()]
  const isSealed = (file: PackageFile) => sealed.some((candidate) => candidate.file === file)
  return {
    machines: descriptor.machines,
    disks: descriptor.disks.map((disk, index) => {
      const file = descriptor.files.find(({ id }) => id === disk.fileId)
      return {
        number: index + 1,
        id: disk.id,
        file: file?.href ?? null,
        fileSize: (file && resolved.get(file.id)?.source.size) ?? null,
        capacity: disk.capacity,
        isCompressed: file?.compression === 'gzip',
        isChosen: disk === chosen?.disk,
      }
    }),
    manifest: manifest && {
      algorithms: manifestAlgorithms.filter((name) => manifest.some(({ algorithm }) => algorithm === name)),
      files: manifest.length,
      missing: [...new Set(all.filter((file) => !isSealed(file)).map(({ name }) => name))],
    },
    isSigned: files.isSigned,
  }
}

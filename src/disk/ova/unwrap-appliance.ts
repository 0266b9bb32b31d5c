import { createHash } from 'node:crypto'
import type { AbortOptions } from '../../core/abort.ts'
import { MiB } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { ContainerProof } from '../container-proof.ts'
import { Findings } from '../safety/findings.ts'
import type { SafetyCheckResult } from '../safety/verdict.ts'
import type { Appliance } from './appliance.ts'
import { type ChosenDisk, chooseDisk } from './choose-disk.ts'
import { describePackage } from './describe-package.ts'
import { type ManifestEntry, parseManifest } from './manifest.ts'
import { mismatch, type SealedFile, sealDisk } from './manifest-proof.ts'
import type { OvfDescriptor } from './ovf-descriptor.ts'
import { type PackageFile, type PackageFiles, referencedNames } from './package-files.ts'
import { parseOvf } from './parse-ovf.ts'

const maximumDescriptor = MiB
const maximumManifest = 5 * MiB

const applianceChecks = {
  'ova.descriptor': 'The OVF descriptor is well-formed, declares nothing and is no larger than 1 MiB.',
  'ova.manifest':
    'The manifest, where there is one, has digests of the right form, and that of the descriptor.',
  'ova.files': 'The descriptor refers to plain files of the appliance.',
  'ova.disk': 'There is one disk to be read, whole and in one file.',
} as const

type ApplianceFindings = Findings<typeof applianceChecks>

export interface UnwrappedAppliance {
  readonly checks: SafetyCheckResult[]
  /** Null when the descriptor was refused. */
  readonly appliance: Appliance | null
  /** The file of the chosen disk, which closing it leaves open; null when a check refused. */
  readonly image: RandomAccessSource | null
  /** What the descriptor declares that file to be, where it does. */
  readonly format?: string
  /** Where there is a manifest. */
  readonly proof: ContainerProof | null
}

export interface UnwrapApplianceOptions extends AbortOptions {
  /** The disk that is wanted: its number from 1, its id, or the name of its file. */
  disk?: string | undefined
}

/**
 * Takes the disk out of an appliance. Of the manifest's digests, only the descriptor's is compared here; the others are
 * when the whole has been read (`proof`).
 */
export async function unwrapAppliance(
  files: PackageFiles,
  { disk: wish, signal }: UnwrapApplianceOptions = {},
): Promise<UnwrappedAppliance> {
  const findings: ApplianceFindings = new Findings(applianceChecks)
  const nothing = { appliance: null, image: null, proof: null }
  const bytes = await readSmall(files.descriptor, findings, {
    check: 'ova.descriptor',
    limit: maximumDescriptor,
    signal,
  })
  const descriptor = bytes && attempt(findings, 'ova.descriptor', () => parseOvf(bytes))
  if (!descriptor) return { ...nothing, checks: findings.results() }

  const manifest = await readManifest(files, findings, { signal })
  const resolved = await resolveAll(files, descriptor, findings)
  const chosen = attempt(findings, 'ova.disk', () => chooseDisk(descriptor, wish))
  const sealed = sealedFiles(files, resolved, manifest)
  const sealedDescriptor = sealed.find(({ file }) => file === files.descriptor)
  if (sealedDescriptor && digestOf(bytes, sealedDescriptor.entry) !== sealedDescriptor.entry.digest) {
    findings.refuseFor('ova.manifest', mismatch(sealedDescriptor, 'does not have the digest of the manifest'))
  }
  const appliance = describePackage(files, { descriptor, manifest, resolved, sealed, chosen })
  const file = chosen && requireFile(chosen, resolved, findings)
  if (!file || findings.refused) {
    return { ...nothing, appliance, checks: findings.results() }
  }
  if (manifest && appliance.manifest && appliance.manifest.missing.length > 0) {
    findings.warn('ova.manifest', 'IMAGE_MANIFEST_INVALID', undefined, () => 'The manifest leaves files out.')
  }
  const own = sealed.find((candidate) => candidate.file === file)
  const others = sealed.filter((candidate) => candidate !== own && candidate !== sealedDescriptor)
  return {
    checks: findings.results(),
    appliance,
    image: { ...file.source, close: async () => undefined },
    ...(chosen.disk.format === null ? {} : { format: chosen.disk.format }),
    proof: own ? sealDisk(own, others) : null,
  }
}

function attempt<T>(
  findings: ApplianceFindings,
  check: keyof typeof applianceChecks,
  run: () => T,
): T | null {
  try {
    return run()
  } catch (error) {
    findings.refuseFor(check, error)
    return null
  }
}

async function readSmall(
  { source }: PackageFile,
  findings: ApplianceFindings,
  { check, limit, signal }: AbortOptions & { check: keyof typeof applianceChecks; limit: number },
): Promise<Buffer | null> {
  if (source.size > limit) {
    findings.refuse(check, 'IMAGE_ARCHIVE_LIMIT', undefined, () => {
      return `It has ${source.size} bytes, more than ${limit}.`
    })
    return null
  }
  const bytes = Buffer.alloc(source.size)
  const filled = await source.read(bytes, 0, { signal })
  return bytes.subarray(0, filled)
}

async function readManifest(
  { manifest }: PackageFiles,
  findings: ApplianceFindings,
  { signal }: AbortOptions,
): Promise<ManifestEntry[] | null> {
  if (!manifest) return null
  const bytes = await readSmall(manifest, findings, { check: 'ova.manifest', limit: maximumManifest, signal })
  return bytes && attempt(findings, 'ova.manifest', () => parseManifest(bytes))
}

/** The files that are there, by their id. */
async function resolveAll(
  files: PackageFiles,
  descriptor: OvfDescriptor,
  findings: ApplianceFindings,
): Promise<ReadonlyMap<string, PackageFile>> {
  const resolved = new Map<string, PackageFile>()
  for (const { id, href } of descriptor.files) {
    const names = referencedNames(href)
    if (!names) {
      findings.refuse('ova.files', 'IMAGE_UNSAFE_NAME', undefined, () => {
        return `The descriptor refers to ${JSON.stringify(href)}, which is no plain file beside it.`
      })
      continue
    }
    for (const name of names) {
      const file = await find(files, name, findings)
      if (file) resolved.set(id, file)
      if (file) break
    }
  }
  return resolved
}

async function find(
  files: PackageFiles,
  name: string,
  findings: ApplianceFindings,
): Promise<PackageFile | null> {
  try {
    return await files.find(name)
  } catch (error) {
    findings.refuseFor('ova.files', error)
    return null
  }
}

/** Each file with the strongest digest the manifest has of it: more of them prove no more. */
function sealedFiles(
  { descriptor }: PackageFiles,
  resolved: ReadonlyMap<string, PackageFile>,
  manifest: readonly ManifestEntry[] | null,
): SealedFile[] {
  const files = [...new Set([descriptor, ...resolved.values()])]
  return files.flatMap((file) => {
    const entry = ['sha512', 'sha256', 'sha1']
      .map((algorithm) => manifest?.find((line) => line.file === file.name && line.algorithm === algorithm))
      .find((found) => found !== undefined)
    return entry ? [{ file, entry }] : []
  })
}

function digestOf(bytes: Buffer, { algorithm }: ManifestEntry): string {
  return createHash(algorithm).update(bytes).digest('hex')
}

function requireFile(
  { file: { id, href, size } }: ChosenDisk,
  resolved: ReadonlyMap<string, PackageFile>,
  findings: ApplianceFindings,
): PackageFile | null {
  const file = resolved.get(id)
  if (!file) {
    findings.refuse('ova.disk', 'IMAGE_FILE_MISSING', undefined, () => {
      return `The file ${JSON.stringify(href)} of the disk is not in the appliance.`
    })
    return null
  }
  if (size !== null && size !== file.source.size) {
    findings.warn('ova.files', 'IMAGE_OVF_INVALID', undefined, () => {
      return `The descriptor gives the disk's file ${size} bytes, and it has ${file.source.size}.`
    })
  }
  return file
}

import { DiskError } from '../errors.ts'
import type { DiskErrorCode } from '../safety/verdict.ts'
import type { VmdkDescriptor, VmdkExtent } from './parse-descriptor.ts'
import type { SparseHeader } from './vmdk-header.ts'

export interface DescriptorContext {
  /** The image, for messages. */
  readonly name: string
  /** Of the extent that holds the descriptor; null when the descriptor is a file of its own. */
  readonly header: SparseHeader | null
  /** Whether the caller opens the files that a descriptor names, where that is safe. */
  readonly allowOtherFiles: boolean
}

/** What a descriptor is held against, one name for each of the safety checks. */
export const descriptorRules = {
  parent: 'The disk is no difference to another one.',
  subformat: 'The kind of disk is one that can be read.',
  extents: 'The extents are what the kind of disk has, and name no file outside of the folder.',
  other_files: 'The image keeps all its data itself.',
} as const

export interface DescriptorProblem {
  readonly rule: keyof typeof descriptorRules
  readonly code: DiskErrorCode
  /** As what follows the name of the image. */
  readonly problem: string
  readonly hint: string
}

/** Kinds of disk by `createType`, with the type of their extents. */
const embeddedKinds: Readonly<Record<string, string>> = {
  monolithicSparse: 'SPARSE',
  streamOptimized: 'SPARSE',
}
const separateKinds: Readonly<Record<string, string>> = {
  monolithicFlat: 'FLAT',
  twoGbMaxExtentFlat: 'FLAT',
  twoGbMaxExtentSparse: 'SPARSE',
}
const readableKinds = Object.keys({ ...embeddedKinds, ...separateKinds }).join(', ')

/** The kind of disk by its usual name, since programs write it in small letters too; null when it cannot be read. */
export function vmdkKind(
  { createType }: Pick<VmdkDescriptor, 'createType'>,
  isEmbedded: boolean,
): string | null {
  const kinds = Object.keys(isEmbedded ? embeddedKinds : separateKinds)
  return kinds.find((kind) => kind.toLowerCase() === createType.toLowerCase()) ?? null
}

/** Every extent is an open file; 512 of 2 GB are a disk of 1 TB. */
const maximumExtents = 512

/** Refuses what cannot be read, or what could reach files of the host (CVE-2022-47951). */
export function* descriptorProblems(
  descriptor: VmdkDescriptor,
  { header, allowOtherFiles }: DescriptorContext,
): Generator<DescriptorProblem, void, undefined> {
  const { createType, extents } = descriptor
  if (descriptor.hasParent) {
    yield {
      rule: 'parent',
      code: 'IMAGE_BACKING_FILE',
      problem: 'is a difference to another disk',
      hint: 'Consolidate the snapshots where the machine is, or clone the disk: vmkfstools -i, vmware-vdiskmanager -r.',
    }
  }
  const kind = vmdkKind(descriptor, header !== null)
  const extentType = kind === null ? undefined : (header ? embeddedKinds : separateKinds)[kind]
  if (kind === null) {
    yield {
      rule: 'subformat',
      code: 'IMAGE_FORMAT_UNSUPPORTED',
      problem: `is of the kind ${JSON.stringify(createType)}`,
      hint: `What can be read: ${readableKinds}. Export it as OVF, or convert it where it comes from: vmkfstools -i.`,
    }
  }
  for (const [code, problem] of extentProblems(extents, { header, extentType })) {
    yield { rule: 'extents', code, problem, hint: 'Take the image from where it was made once more.' }
  }
  if (header === null && !allowOtherFiles) {
    yield {
      rule: 'other_files',
      code: 'IMAGE_DATA_FILE',
      problem: 'keeps its data in other files',
      hint: 'If you trust it and all lie in one folder, allow it with --allow-backing.',
    }
  }
}

/** @throws DiskError with the first of `descriptorProblems` */
export function checkDescriptor(descriptor: VmdkDescriptor, context: DescriptorContext): void {
  for (const { code, problem, hint } of descriptorProblems(descriptor, context)) {
    throw new DiskError(code, `${context.name} ${problem}.`, { hint })
  }
}

function* extentProblems(
  extents: readonly VmdkExtent[],
  { header, extentType }: { header: SparseHeader | null; extentType: string | undefined },
): Generator<[code: DiskErrorCode, problem: string], void, undefined> {
  const limit = header ? 1 : maximumExtents
  if (extents.length > limit) {
    yield ['IMAGE_TABLES_LIMIT', `has ${extents.length} extents, more than ${limit}`]
    return
  }
  for (const { access, type, fileName } of extents) {
    const isZero = type === 'ZERO' && header === null
    if (fileName !== null && !isPlainName(fileName)) {
      yield ['IMAGE_UNSAFE_NAME', 'has an extent whose name is not that of a file in its own folder']
    } else if (extentType !== undefined && !isZero && type !== extentType) {
      yield ['IMAGE_FORMAT_UNSUPPORTED', `has an extent of the type ${type}, not ${extentType}`]
    } else if (access === 'NOACCESS') {
      yield ['IMAGE_FORMAT_UNSUPPORTED', 'has an extent that must not be read']
    } else if ((fileName === null) !== isZero) {
      yield ['IMAGE_HEADER_INVALID', 'has an extent without a file, or a file without an extent']
    }
  }
  const [first] = extents
  if (header && first && first.size !== header.size) {
    yield [
      'IMAGE_SIZE_AMBIGUOUS',
      `has ${header.size} bytes by its header and ${first.size} by its descriptor`,
    ]
  }
  if (hasOverlap(extents)) yield ['IMAGE_OVERLAP', 'uses a part of a file for two extents']
}

function isPlainName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\\:]/.test(name)
}

/** Whether two extents share bytes of a file; a sparse extent is a whole file. */
function hasOverlap(extents: readonly VmdkExtent[]): boolean {
  const ranges = extents
    .filter(({ fileName }) => fileName !== null)
    .map(({ fileName, type, offset, size }) => {
      const isFlat = type === 'FLAT'
      return { fileName, start: isFlat ? offset : 0, end: isFlat ? offset + size : Number.POSITIVE_INFINITY }
    })
    .sort((a, b) => (a.fileName ?? '').localeCompare(b.fileName ?? '') || a.start - b.start)
  return ranges.some((range, index) => {
    const next = ranges[index + 1]
    return next !== undefined && next.fileName === range.fileName && next.start < range.end
  })
}

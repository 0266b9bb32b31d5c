import { createHash } from 'node:crypto'
import type { AbortOptions } from '../../core/abort.ts'
import { KiB, roundUp } from '../../core/bytes.ts'
import { type ByteSink, isSeekable, type SeekableSink } from '../../transfer/byte-sink.ts'
import { writeZeros } from '../../transfer/write-zeros.ts'
import { collectDataRuns } from '../data-runs.ts'
import type { Disk } from '../disk.ts'
import { tarBlock } from '../tar/tar-layout.ts'
import { tarWriter } from '../tar/tar-writer.ts'
import { writeVmdk } from '../vmdk/vmdk-writer.ts'
import { type ApplianceNames, applianceNames } from './appliance-names.ts'
import type { ApplianceOptions } from './appliance-options.ts'
import { buildOvf } from './build-ovf.ts'
import { defaultMachine } from './machine.ts'
import { formatManifest, type ManifestAlgorithm } from './manifest.ts'
import { changed, exactSink, measuringSink } from './measuring-sink.ts'
import { placedSink } from './placed-sink.ts'

export interface WriteOvaOptions extends AbortOptions {
  /** Name of the archive, which its members take theirs from. */
  fileName?: string
  /** Effort of the disk's compression. */
  level?: number
  appliance?: ApplianceOptions
  /** Bytes of guest data done and in all. */
  onProgress?: (done: number, total: number) => void
}

const grain = 64 * KiB
const sectorSize = 512

/*
 * The archive begins with the descriptor, which says how long the disk's file is, and so does the header of that file
 * in the archive; both are known when the disk has been compressed.
 *
 * - Into a file, the disk goes to its place first, one pass; then the descriptor, whose length is known, to its own.
 * - Into a stream, the disk is compressed twice, once to learn its size.
 *
 * The manifest comes last, so that no digest is needed earlier. The bytes are the same either way.
 */

/**
 * Writes the disk as an OVA: an archive of a descriptor, the disk as a VMDK stream, and a manifest. Does not finish the
 * sink. Memory is that of the VMDK writer.
 * @throws DiskError `DISK_CHANGED` when the disk gives something else when it is read again for a stream
 */
export async function writeOva(disk: Disk, sink: ByteSink, options: WriteOvaOptions = {}): Promise<void> {
  const { signal } = options
  const runs = await collectDataRuns(disk, { alignment: grain, signal })
  const names = applianceNames(options.fileName)
  const appliance = options.appliance ?? { machine: { ...defaultMachine, name: names.stem } }
  const parts: Parts = { disk, names, appliance, populatedSize: runs.total, options }
  await (isSeekable(sink) ? writeInPlaces(sink, parts) : writeInTurn(sink, parts))
}

interface Parts {
  disk: Disk
  names: ApplianceNames
  appliance: ApplianceOptions
  populatedSize: number
  options: WriteOvaOptions
}

/** What is known when the disk has been read. */
interface DiskFacts {
  fileSize: number
  contentDigest: string | null
}

async function writeInPlaces(sink: SeekableSink, parts: Parts): Promise<void> {
  const { signal, onProgress } = parts.options
  const reserved = describe(parts, { fileSize: 0, contentDigest: null }).length
  const diskPlace = tarBlock + roundUp(reserved, tarBlock) + tarBlock
  const place = placedSink(sink, diskPlace)
  const digest = await hashed(place, parts, (hashing) => writeDiskFile(parts, hashing, onProgress))
  const facts = { fileSize: place.position - diskPlace, contentDigest: await contentDigest(parts) }
  const archive = placedSink(sink, 0)
  await writeArchive(archive, parts, {
    ...facts,
    signal,
    writeMember: async (member) => {
      // It is in its place already.
      await writeZeros(member, facts.fileSize, { signal })
      return digest
    },
  })
  await sink.truncate(archive.position)
}

async function writeInTurn(sink: ByteSink, parts: Parts): Promise<void> {
  const { signal, onProgress } = parts.options
  const measuring = measuringSink(sink.name)
  await writeDiskFile(parts, measuring, onProgress && ((done, total) => onProgress(done, 2 * total)))
  const facts = { fileSize: measuring.size, contentDigest: await contentDigest(parts) }
  await writeArchive(sink, parts, {
    ...facts,
    signal,
    writeMember: async (member) => {
      const exact = exactSink(member, facts.fileSize)
      const digest = await hashed(exact, parts, (hashing) =>
        writeDiskFile(parts, hashing, onProgress && ((done, total) => onProgress(total + done, 2 * total))),
      )
      exact.end()
      return digest
    },
  })
  if ((await contentDigest(parts)) !== facts.contentDigest) throw changed(sink.name)
}

async function writeArchive(
  sink: ByteSink,
  parts: Parts,
  {
    signal,
    writeMember,
    ...facts
  }: DiskFacts & AbortOptions & { writeMember: (member: ByteSink) => Promise<string> },
): Promise<void> {
  const { names } = parts
  const algorithm = algorithmOf(parts)
  const tar = tarWriter(sink)
  const descriptor = describe(parts, facts)
  const first = await tar.begin({ name: names.descriptor, size: descriptor.length }, { signal })
  await first.write(descriptor, { signal })
  const member = await tar.begin({ name: names.disk, size: facts.fileSize }, { signal })
  const digest = await writeMember(member)
  const manifest = Buffer.from(
    formatManifest([
      {
        file: names.descriptor,
        algorithm,
        digest: createHash(algorithm).update(descriptor).digest('hex'),
      },
      { file: names.disk, algorithm, digest },
    ]),
  )
  const last = await tar.begin({ name: names.manifest, size: manifest.length }, { signal })
  await last.write(manifest, { signal })
  await tar.end({ signal })
}

function describe({ disk, names, appliance, populatedSize }: Parts, facts: DiskFacts): Buffer {
  const { machine, contentDigest: isTold } = appliance
  const told = facts.contentDigest ?? '0'.repeat(64)
  return buildOvf({
    machine: isTold
      ? { ...machine, annotation: [...machine.annotation, `Content of the disk, SHA-256: ${told}`] }
      : machine,
    id: names.stem,
    disk: {
      fileName: names.disk,
      fileSize: facts.fileSize,
      capacity: roundUp(disk.size, sectorSize),
      populatedSize,
    },
  })
}

async function writeDiskFile(
  { disk, names, options: { level, signal } }: Parts,
  sink: ByteSink,
  onProgress: WriteOvaOptions['onProgress'],
): Promise<void> {
  await writeVmdk(disk, sink, {
    subformat: 'streamOptimized',
    // Some readers open the disk by the name it has inside.
    fileName: names.disk,
    signal,
    ...(level === undefined ? {} : { level }),
    ...(onProgress ? { onProgress } : {}),
  })
}

/** The digest of what is written, computed on the way: the compressor gives so little that a thread for it would mostly wait. */
async function hashed(
  sink: ByteSink,
  parts: Parts,
  write: (hashing: ByteSink) => Promise<void>,
): Promise<string> {
  const hash = createHash(algorithmOf(parts))
  await write({
    name: sink.name,
    async write(chunk, options) {
      hash.update(chunk)
      await sink.write(chunk, options)
    },
    finish: (options) => sink.finish(options),
    abort: () => sink.abort(),
  })
  return hash.digest('hex')
}

function algorithmOf({ appliance }: Parts): ManifestAlgorithm {
  return appliance.manifest ?? 'sha256'
}

async function contentDigest({ appliance }: Parts): Promise<string | null> {
  return appliance.contentDigest ? appliance.contentDigest() : null
}

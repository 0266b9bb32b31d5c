import { outputGranule, outputTraits } from '../../src/disk/output-traits.ts'
import { writeVdi } from '../../src/disk/vdi/vdi-writer.ts'
import { writeVhd } from '../../src/disk/vhd/vhd-writer.ts'
import { writeVhdx } from '../../src/disk/vhdx/vhdx-writer.ts'
import { type OutputFormat, outputFormats, writeDisk } from '../../src/disk/write-disk.ts'
import { describeWrittenFormat, type WrittenFormat } from './disk-format-conformance.ts'

/** What differs from format to format; whatever is left out is as most have it. */
type Peculiarities = Partial<Omit<WrittenFormat, 'format' | 'subformat' | 'extension' | 'granule'>>

/** One entry per format that can be written. */
const peculiarities: Readonly<Record<OutputFormat, Peculiarities>> = {
  qcow2: { qemuDriver: 'qcow2', qemuChecks: true },
  raw: { qemuDriver: 'raw' },
  vmdk: { qemuDriver: 'vmdk', qemuChecks: true },
  vdi: {
    qemuDriver: 'vdi',
    qemuChecks: true,
    repeatably: (disk, sink, { format: _, ...options }) =>
      writeVdi(disk, sink, { ...options, ids: { image: someId, modification: someId } }),
  },
  vhd: {
    qemuDriver: 'vpc',
    repeatably: (disk, sink, { format: _, ...options }) =>
      writeVhd(disk, sink, { ...options, uniqueId: someId, createdAt: new Date('2026-01-01') }),
  },
  vhdx: {
    qemuDriver: 'vhdx',
    qemuChecks: true,
    repeatably: (disk, sink, { format: _, ...options }) =>
      writeVhdx(disk, sink, {
        ...options,
        ids: { fileWrite: someId, dataWrite: someId, virtualDisk: someId },
      }),
  },
  // QEMU reads the disk in it; that is tested with the format.
  ova: {},
  gcp: {},
  'raw.gz': { isSparse: false },
  'raw.zst': { isSparse: false },
}

/** With a GiB at least of zeros to compress in every case; tested with the format. */
const tooSlow = ['gcp plain']

const someId = '5f1c0f5e-3f0e-4c59-9c0b-0a3d6f6b2c11'

const usual = {
  qemuDriver: null,
  qemuChecks: false,
  isSparse: true,
  repeatably: writeDisk,
} satisfies Peculiarities

// Compressions are left to the tests of their formats: every one takes threads of its own, which takes its time.
for (const format of outputFormats) {
  const { extensions, subformats } = outputTraits[format]
  const [extension] = extensions
  for (const subformat of subformats.length === 0 ? [null] : subformats) {
    if (tooSlow.includes(`${format} ${subformat}`)) continue
    const granule = outputGranule(format, subformat ?? undefined)
    describeWrittenFormat({ ...usual, ...peculiarities[format], format, subformat, extension, granule })
  }
}

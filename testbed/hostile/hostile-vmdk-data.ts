import { deflateSync } from 'node:zlib'
import { type HostileImage, refused } from './hostile-image.ts'
import { compressedGrain, grainBytes, letters, marker, sector, sketchVmdk } from './vmdk-sketch.ts'

/** A grain table of a stream with one grain, whose data are these bytes. */
function holding(data: Buffer): () => Buffer {
  return () => {
    const { bytes, places } = sketchVmdk({ kind: 'front', grains: [letters('A'), null, null] })
    const grain = compressedGrain(0, data)
    const place = places.grains[0] ?? 0
    return Buffer.concat([
      bytes.subarray(0, place),
      grain,
      Buffer.alloc(sector - (grain.length % sector)),
      marker(0, 0),
    ])
  }
}

/** Grains that are not what they say, and images cut off at every boundary. */
export const hostileVmdkData: readonly HostileImage[] = [
  refused(
    'bomb: a grain that inflates to two',
    'IMAGE_CLUSTER_DAMAGED',
    holding(deflateSync(Buffer.alloc(2 * grainBytes, 'A'))),
  ),
  refused(
    'bomb: a grain that inflates to 64 MiB',
    'IMAGE_ENTRY_INVALID',
    holding(deflateSync(Buffer.alloc(64 * 2 ** 20))),
  ),
  refused(
    'bomb: a grain that inflates to 128 KiB',
    'IMAGE_CLUSTER_DAMAGED',
    holding(deflateSync(Buffer.alloc(131_072))),
  ),
  refused(
    'a grain that inflates to half',
    'IMAGE_CLUSTER_DAMAGED',
    holding(deflateSync(Buffer.alloc(grainBytes / 2, 'A'))),
  ),
  refused('a grain that does not inflate', 'IMAGE_CLUSTER_DAMAGED', holding(Buffer.alloc(100, 0xff))),
  refused('a grain with a wrong checksum', 'IMAGE_CLUSTER_DAMAGED', holding(wrongChecksum())),

  ...(['redundantDirectory', 'redundantTable', 'directory', 'table'] as const).flatMap((place) =>
    [0, 3, 511].map((offset) =>
      refused(`a VMDK cut off ${offset} bytes into the ${place}`, 'IMAGE_OFFSET_OUT_OF_FILE', () => {
        const { bytes, places } = sketchVmdk()
        return bytes.subarray(0, places[place] + offset)
      }),
    ),
  ),
  refused('a VMDK cut off in its descriptor', 'IMAGE_TRUNCATED', () => sketchVmdk().bytes.subarray(0, 700)),
  refused('a VMDK cut off before its grains', 'IMAGE_OFFSET_OUT_OF_FILE', () => {
    const { bytes, places } = sketchVmdk()
    return bytes.subarray(0, places.grains[0])
  }),
  refused('a VMDK cut off by a byte', 'IMAGE_TRUNCATED', () => sketchVmdk().bytes.subarray(0, -1)),
  ...(
    ['tableMarker', 'table', 'directoryMarker', 'directory', 'footerMarker', 'footer', 'end'] as const
  ).flatMap((place) =>
    [0, 1, 511].map((offset) =>
      refused(`a stream cut off ${offset} bytes into the ${place}`, 'IMAGE_TRUNCATED', () => {
        const { bytes, places } = sketchVmdk({ kind: 'stream' })
        return bytes.subarray(0, places[place] + offset)
      }),
    ),
  ),
  ...[0, 12, 20].map((offset) =>
    refused(
      `a stream, front, cut off ${offset} bytes into its last grain`,
      offset < 16 ? 'IMAGE_COPIES_DIFFER' : 'IMAGE_TRUNCATED',
      () => {
        const { bytes, places } = sketchVmdk({ kind: 'front' })
        return bytes.subarray(0, (places.grains[2] ?? 0) + offset)
      },
    ),
  ),
]

function wrongChecksum(): Buffer {
  const data = deflateSync(letters('A'))
  data.writeUInt8(data.readUInt8(data.length - 1) ^ 1, data.length - 1)
  return data
}

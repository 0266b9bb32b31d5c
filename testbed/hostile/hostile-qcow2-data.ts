import { deflateRawSync } from 'node:zlib'
import { MiB } from '../../src/core/bytes.ts'
import { type HostileImage, refused } from './hostile-image.ts'
import {
  compressedEntry,
  getEntry,
  type Qcow2Sketch,
  setEntry,
  setRefcount,
  sketchQcow2,
} from './qcow2-sketch.ts'

/** Cuts a valid image off after `length` bytes of the whole, a negative number from its end. */
function cut(length: (sketch: Qcow2Sketch) => number): () => Buffer {
  return () => {
    const sketch = sketchQcow2()
    return sketch.bytes.subarray(0, length(sketch))
  }
}

function bomb(inflated: number): () => Buffer {
  return () => {
    const sketch = sketchQcow2({ compressed: true, spareClusters: 16 })
    const stream = deflateRawSync(Buffer.alloc(inflated, 'A'), { windowBits: 12 })
    const sectors = Math.ceil(stream.length / 512)
    stream.copy(sketch.bytes, sketch.places.data)
    setEntry(sketch, sketch.places.l2, compressedEntry(12, sketch.places.data, sectors - 1))
    setEntry(sketch, sketch.places.l2 + 8, 0n)
    const clusters = Math.ceil((sectors * 512) / sketch.clusterSize)
    for (let cluster = 0; cluster < clusters; cluster += 1) {
      setRefcount(sketch, sketch.places.data / sketch.clusterSize + cluster, 1)
    }
    return sketch.bytes
  }
}

/** Images cut off at every boundary, and compressed clusters that are not what they say. */
export const hostileQcow2Data: readonly HostileImage[] = [
  ...[4, 7].map((length) =>
    refused(
      `cut off after ${length} bytes`,
      'IMAGE_FORMAT_MISMATCH',
      cut(() => length),
      { declared: 'qcow2' },
    ),
  ),
  ...[8, 71, 72, 103].map((length) =>
    refused(
      `cut off after ${length} bytes, in the header`,
      'IMAGE_TRUNCATED',
      cut(() => length),
    ),
  ),
  ...[104, 112, 4095, 4096].map((length) =>
    refused(
      `cut off after ${length} bytes, before the tables`,
      'IMAGE_OFFSET_OUT_OF_FILE',
      cut(() => length),
    ),
  ),
  ...(
    [
      ['refcountTable', 'refcountBlock'],
      ['refcountBlock', 'l1'],
      ['l1', 'l2'],
      ['l2', 'data'],
    ] as const
  ).flatMap(([part, next]) =>
    [0, 4, 4095].map((offset) =>
      part === 'l1' && offset === 4095
        ? refused(
            `cut off before the ${next}`,
            'IMAGE_OFFSET_OUT_OF_FILE',
            cut((sketch) => sketch.places[next] - 1),
          )
        : refused(
            `cut off ${offset} bytes into the ${part}`,
            'IMAGE_OFFSET_OUT_OF_FILE',
            cut((sketch) => sketch.places[part] + offset),
          ),
    ),
  ),
  refused(
    'cut off before the data',
    'IMAGE_OFFSET_OUT_OF_FILE',
    cut((sketch) => sketch.places.data),
  ),
  refused(
    'cut off inside the first data cluster',
    'IMAGE_TRUNCATED',
    cut((sketch) => sketch.places.data + 1),
  ),
  refused(
    'cut off by a byte',
    'IMAGE_TRUNCATED',
    cut((sketch) => sketch.bytes.length - 1),
  ),
  refused(
    'cut off by a cluster',
    'IMAGE_OFFSET_OUT_OF_FILE',
    cut((sketch) => sketch.bytes.length - 4096),
  ),

  refused('bomb: a compressed cluster that inflates to two', 'IMAGE_CLUSTER_DAMAGED', bomb(8192)),
  refused('bomb: a compressed cluster that inflates to 16 MiB', 'IMAGE_CLUSTER_DAMAGED', bomb(16 * MiB)),
  refused('a compressed cluster that inflates to half', 'IMAGE_CLUSTER_DAMAGED', bomb(2048)),
  refused(
    'CVE-2013-4463: bomb of 512 MiB in one compressed cluster',
    'IMAGE_EXPANSION_LIMIT',
    () => {
      const sketch = sketchQcow2({ clusterBits: 16, compressed: true, size: 512 * MiB })
      const entry = getEntry(sketch, sketch.places.l2)
      for (let index = 0; index < 8192; index += 1) setEntry(sketch, sketch.places.l2 + index * 8, entry)
      setRefcount(sketch, sketch.places.data / sketch.clusterSize, 8192)
      return sketch.bytes
    },
    { qemuImgCheck: 'clean' },
  ),
]

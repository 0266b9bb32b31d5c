import { promisify } from 'node:util'
import { inflate } from 'node:zlib'
import { DiskError } from '../errors.ts'
import { grainMarkerBytes, markerFields, sectorSize } from './vmdk-layout.ts'

const inflateGrain = promisify(inflate)

export interface StoredGrain {
  /** The image, and the byte in it at which the marker begins: for messages. */
  readonly name: string
  readonly host: number
  /** Where the grain lies on the disk, by its table. */
  readonly guest: number
  readonly grainSize: number
  /** Bytes of the grain that the disk has: less than all only at its end. */
  readonly needed: number
}

/** Bytes that a compressed grain takes at most, with its marker. */
export function maximumStoredGrain(grainSize: number): number {
  return grainMarkerBytes + 2 * grainSize
}

/**
 * The grain whose marker and data are at the start of `data`. Never gives or allocates more than a grain, whatever the
 * data say. Runs on the thread pool.
 * @throws DiskError `IMAGE_ENTRY_INVALID` when the marker is of another grain, `IMAGE_CLUSTER_DAMAGED` when the data do
 *   not give the grain
 */
export async function decompressGrain(data: Buffer, grain: StoredGrain): Promise<Buffer> {
  const { name, host, guest, grainSize, needed } = grain
  const place = data.length >= grainMarkerBytes ? data.readBigUInt64LE(markerFields.val.offset) : null
  const length = place === null ? 0 : data.readUInt32LE(markerFields.size.offset)
  if (place === null || place * BigInt(sectorSize) !== BigInt(guest)) {
    throw new DiskError(
      'IMAGE_ENTRY_INVALID',
      `${name}: the marker at byte ${host} is not that of its grain.`,
      {
        details: { offset: host },
      },
    )
  }
  const end = grainMarkerBytes + length
  if (length === 0 || end > Math.min(data.length, maximumStoredGrain(grainSize))) {
    throw damaged(grain, `says that they have ${length} bytes`)
  }
  const plain = await inflateGrain(data.subarray(grainMarkerBytes, end), {
    maxOutputLength: grainSize,
    // One more, or a second piece of memory would wait for what comes after a full one.
    chunkSize: grainSize + 1,
  }).catch((error: unknown) => {
    throw damaged(grain, 'do not decompress', error)
  })
  if (plain.length < needed) throw damaged(grain, `give only ${plain.length} bytes`)
  return plain
}

function damaged({ name, host }: StoredGrain, problem: string, cause?: unknown): DiskError {
  return new DiskError(
    'IMAGE_CLUSTER_DAMAGED',
    `${name}: the data of the grain at byte ${host} ${problem}.`,
    {
      details: { offset: host },
      ...(cause === undefined ? {} : { cause }),
    },
  )
}

import type { AbortOptions } from '../../core/abort.ts'
import {
  type ByteRanges,
  ByteRangesBuilder,
  byteRanges,
  firstRangeEndingAfter,
  rangeEnd,
  rangeStart,
} from '../../disk/byte-ranges.ts'
import { checkRange } from '../../disk/check-range.ts'
import type { Disk } from '../../disk/disk.ts'
import { maskDisk } from '../../disk/masked-disk.ts'
import { withWindows } from '../../disk/overlay-disk.ts'
import { noRuns } from '../../disk/overlay-ranges.ts'
import { windowDisk } from '../../disk/window-disk.ts'
import { isZero } from '../../transfer/zeros.ts'
import { GuestError } from '../errors.ts'
import { patchDisk } from '../filesystem/patched-disk.ts'
import type { InnerVolume, VolumeContainer } from './container.ts'
import { type LuksPayload, readLuksHeader } from './luks-header.ts'
import { findVolumeKey } from './luks-key.ts'
import { decryptSectors, encryptSectors } from './luks-sectors.ts'

export interface OpenLuksOptions extends AbortOptions {
  /** How messages name the encrypted volume. */
  name: string
  uuid: string
  passphrases: readonly Uint8Array[]
}

/**
 * Opens an encrypted volume with a passphrase or key of its owner. What comes out is encrypted as before, with the same key:
 * what is unchanged keeps its bytes, and what is free becomes encrypted zeros.
 * @throws GuestError `VOLUME_LOCKED` when no passphrase fits; `FILESYSTEM_UNSUPPORTED` | `FILESYSTEM_DAMAGED`
 */
export async function openLuks(
  disk: Disk,
  { name, uuid, passphrases, signal }: OpenLuksOptions,
): Promise<VolumeContainer> {
  const header = await readLuksHeader(disk, { signal })
  const key = await findVolumeKey(disk, header, { passphrases, signal })
  if (!key) throw locked(name, passphrases.length > 0)
  const { payload } = header
  const encrypted = windowDisk(disk, payload.offset, payload.length)
  const volume: InnerVolume = {
    disk: decryptedDisk(encrypted, payload, key),
    error: null,
    name: `The encrypted volume in ${name}`,
    devices: [`/dev/mapper/luks-${uuid}`],
  }
  return {
    volumes: [volume],
    async compose(view, options) {
      const inner = await view(volume)
      const end = payload.offset + payload.length
      const masked = maskDisk(disk, byteRanges([{ offset: end, length: disk.size - end }]))
      if (!inner) return masked
      const cipherText = await encryptedDisk(inner, encrypted, { ...payload, key, signal: options.signal })
      return withWindows(masked, [{ offset: payload.offset, disk: cipherText }])
    },
  }
}

function locked(name: string, hadPassphrase: boolean): GuestError {
  const problem = hadPassphrase
    ? 'is not opened by the key that was given'
    : 'is encrypted, and no key was given'
  return new GuestError('VOLUME_LOCKED', `${name} ${problem}.`, {
    hint: 'Give the key in a file named by IMAGEWRIGHT_LUKS_KEY_FILE, or the passphrase in IMAGEWRIGHT_LUKS_PASSPHRASE.',
  })
}

/** Reads whole sectors around what is asked for. */
function decryptedDisk(encrypted: Disk, { sectorSize, firstTweak }: LuksPayload, key: Uint8Array): Disk {
  return {
    size: encrypted.size,
    // A hole of the encrypted disk decrypts to noise, so all of it is data.
    async *extents() {
      yield { offset: 0, length: encrypted.size, kind: 'data' }
    },
    read: (target, offset, options) =>
      eachPiece(encrypted, sectorSize, { target, offset }, async (bytes, position) => {
        await encrypted.read(bytes, position, options)
        decryptSectors(bytes, { key, sectorSize, firstTweak: firstTweak + position / 512 })
      }),
    close: async () => undefined,
  }
}

/** The encrypted bytes of a view of the decrypted disk. What the view does not change is not encrypted anew. */
async function encryptedDisk(
  inner: Disk,
  encrypted: Disk,
  { sectorSize, firstTweak, key, signal }: LuksPayload & { key: Uint8Array } & AbortOptions,
): Promise<Disk> {
  const ranges = await changedSectors(inner, encrypted, { sectorSize, signal })
  const patch: Disk = {
    size: inner.size,
    async *extents() {
      yield { offset: 0, length: inner.size, kind: 'data' }
    },
    read: (target, offset, options) =>
      eachPiece(inner, sectorSize, { target, offset }, async (bytes, position) => {
        const before = new Uint8Array(bytes.length)
        await Promise.all([inner.read(bytes, position, options), encrypted.read(before, position, options)])
        const unwritten = unwrittenSectors(bytes, before, sectorSize)
        encryptSectors(bytes, { key, sectorSize, firstTweak: firstTweak + position / 512 })
        for (const start of unwritten) bytes.fill(0, start, start + sectorSize)
      }),
    close: async () => undefined,
  }
  return patchDisk(encrypted, patch, ranges)
}

/**
 * Where sectors start that are to be zero and were never written. Encrypted zeros are no zeros: these were a hole once, and would
 * otherwise change when a file system or a format no longer tells them from data.
 */
function unwrittenSectors(wanted: Uint8Array, before: Uint8Array, sectorSize: number): number[] {
  const starts: number[] = []
  for (let start = 0; start < wanted.length; start += sectorSize) {
    const end = start + sectorSize
    if (isZero(before, start, end) && isZero(wanted, start, end)) starts.push(start)
  }
  return starts
}

/**
 * What has to be encrypted anew, in whole sectors. What is to be zero is encrypted as zeros, since a file system may rely on
 * them; only where the encrypted disk has a hole, in which there never was anything, the hole stays.
 */
async function changedSectors(
  inner: Disk,
  encrypted: Disk,
  { sectorSize, signal }: AbortOptions & { sectorSize: number },
): Promise<ByteRanges> {
  const holes = new ByteRangesBuilder()
  for await (const { offset, length, kind } of encrypted.extents({ signal })) {
    if (kind === 'zero') holes.add(offset, length)
  }
  const known = holes.build()
  const builder = new ByteRangesBuilder()
  const add = (from: number, to: number): void => {
    if (to <= from) return
    const start = from - (from % sectorSize)
    builder.add(start, Math.min(inner.size, Math.ceil(to / sectorSize) * sectorSize) - start)
  }
  for await (const { offset, length, kind } of inner.changes?.({ signal }) ?? noRuns()) {
    const end = offset + length
    if (kind === 'data') {
      add(offset, end)
      continue
    }
    let position = offset
    for (let index = firstRangeEndingAfter(known, offset); rangeStart(known, index) < end; index += 1) {
      // Of a hole only the sectors that are zero as a whole.
      const holeStart = Math.ceil(Math.max(rangeStart(known, index), offset) / sectorSize) * sectorSize
      const holeEnd = Math.floor(Math.min(rangeEnd(known, index), end) / sectorSize) * sectorSize
      if (holeEnd <= holeStart) continue
      add(position, holeStart)
      position = holeEnd
    }
    add(position, end)
  }
  return builder.build()
}

/** Fills `target` from pieces of whole sectors around it. */
async function eachPiece(
  disk: Pick<Disk, 'size'>,
  sectorSize: number,
  { target, offset }: { target: Uint8Array; offset: number },
  fill: (bytes: Uint8Array, position: number) => Promise<void>,
): Promise<void> {
  checkRange(disk, offset, target.length)
  const end = offset + target.length
  const last = Math.ceil(end / sectorSize) * sectorSize
  for (let position = offset - (offset % sectorSize); position < last; position += maximumPiece) {
    const bytes = new Uint8Array(Math.min(maximumPiece, last - position))
    await fill(bytes, position)
    const from = Math.max(offset, position)
    const to = Math.min(end, position + bytes.length)
    target.set(bytes.subarray(from - position, to - position), from - offset)
  }
}

const maximumPiece = 1024 * 1024

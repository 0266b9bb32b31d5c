import { argon2, createHash, pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import type { Disk } from '../../disk/disk.ts'
import type { LuksDerivation, LuksHeader, LuksKeySlot } from './luks-header.ts'
import { decryptSectors } from './luks-sectors.ts'

const derivePbkdf2 = promisify(pbkdf2)
const deriveArgon2 = promisify(argon2)

/** The volume's key, from the first key slot that one of the passphrases opens; `null` when none does. */
export async function findVolumeKey(
  disk: Disk,
  { keySlots }: LuksHeader,
  { passphrases, signal }: AbortOptions & { passphrases: readonly Uint8Array[] },
): Promise<Uint8Array | null> {
  for (const passphrase of passphrases) {
    for (const slot of keySlots) {
      throwIfCancelled(signal)
      const key = await openKeySlot(disk, slot, { passphrase, signal })
      if (key) return key
    }
  }
  return null
}

async function openKeySlot(
  disk: Disk,
  slot: LuksKeySlot,
  { passphrase, signal }: AbortOptions & { passphrase: Uint8Array },
): Promise<Uint8Array | null> {
  const { area, stripes, splitHash, digest, derivation } = slot
  const areaKey = await derive(passphrase, derivation, area.keyBytes)
  const split = new Uint8Array(area.length)
  await disk.read(split, area.offset, { signal })
  decryptSectors(split, { key: areaKey, sectorSize: 512, firstTweak: 0 })
  const keyBytes = Math.floor(split.length / stripes / 32) * 32
  const key = mergeStripes(split, { stripes, keyBytes, hash: splitHash })
  const found = await derivePbkdf2(key, digest.salt, digest.iterations, digest.value.length, digest.hash)
  return timingSafeEqual(found, digest.value) ? key : null
}

async function derive(
  passphrase: Uint8Array,
  derivation: LuksDerivation,
  bytes: number,
): Promise<Uint8Array> {
  if (derivation.kind === 'pbkdf2') {
    return derivePbkdf2(passphrase, derivation.salt, derivation.iterations, bytes, derivation.hash)
  }
  const { kind, passes, memory, parallelism, salt } = derivation
  return deriveArgon2(kind, {
    message: passphrase,
    nonce: salt,
    passes,
    memory,
    parallelism,
    tagLength: bytes,
  })
}

/** LUKS1 on-disk format specification, section 2.4: the anti-forensic splitter, backwards. */
function mergeStripes(
  split: Uint8Array,
  { stripes, keyBytes, hash }: { stripes: number; keyBytes: number; hash: string },
): Uint8Array {
  let key = new Uint8Array(keyBytes)
  for (let stripe = 0; stripe < stripes; stripe += 1) {
    for (let index = 0; index < keyBytes; index += 1) {
      key[index] = (key[index] ?? 0) ^ (split[stripe * keyBytes + index] ?? 0)
    }
    if (stripe < stripes - 1) key = diffuse(key, hash)
  }
  return key
}

function diffuse(block: Uint8Array, hash: string): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(block.length)
  const digestBytes = createHash(hash).digest().length
  for (let start = 0, index = 0; start < block.length; start += digestBytes, index += 1) {
    const number = Buffer.alloc(4)
    number.writeUInt32BE(index)
    const part = block.subarray(start, start + digestBytes)
    const digest = createHash(hash).update(number).update(part).digest()
    result.set(digest.subarray(0, part.length), start)
  }
  return result
}

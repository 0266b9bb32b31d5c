import { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import type { Disk } from '../../disk/disk.ts'
import { GuestError } from '../errors.ts'

/** An encrypted volume as its header describes it. */
export interface LuksHeader {
  readonly payload: LuksPayload
  readonly keySlots: readonly LuksKeySlot[]
}

export interface LuksPayload {
  /** Bytes from the start of the volume. */
  readonly offset: number
  readonly length: number
  readonly sectorSize: number
  /** Number of the first sector, in units of 512 bytes, for the cipher's tweak. */
  readonly firstTweak: number
  readonly keyBytes: number
}

/** Where a copy of the volume's key lies, encrypted by a passphrase. */
export interface LuksKeySlot {
  readonly derivation: LuksDerivation
  readonly area: { readonly offset: number; readonly length: number; readonly keyBytes: number }
  readonly stripes: number
  readonly splitHash: string
  readonly digest: LuksDigest
}

export type LuksDerivation =
  | { readonly kind: 'pbkdf2'; readonly hash: string; readonly iterations: number; readonly salt: Uint8Array }
  | {
      readonly kind: 'argon2i' | 'argon2id'
      readonly passes: number
      /** KiB. */
      readonly memory: number
      readonly parallelism: number
      readonly salt: Uint8Array
    }

/** By which a key is recognised. */
export interface LuksDigest {
  readonly hash: string
  readonly iterations: number
  readonly salt: Uint8Array
  readonly value: Uint8Array
}

/** The cipher of every installer; it is also the only one whose sectors Node encrypts alone. */
const knownCipher = 'aes-xts-plain64'
const hashes = new Set(['sha1', 'sha256', 'sha512', 'ripemd160', 'whirlpool'])
/** A header may not make us work for hours, or take all memory: cryptsetup itself stays below both. */
const maximumIterations = 1_000_000_000
const maximumMemory = 4 * 1024 * 1024
const maximumArea = 4 * 1024 * 1024

/** @throws GuestError `FILESYSTEM_DAMAGED` | `FILESYSTEM_UNSUPPORTED` */
export async function readLuksHeader(disk: Disk, options: AbortOptions): Promise<LuksHeader> {
  const head = Buffer.alloc(4096)
  if (disk.size < head.length) throw damaged()
  await disk.read(head, 0, options)
  const version = head.readUInt16BE(6)
  if (version === 1) return parseVersion1(head, disk)
  if (version !== 2) throw unsupported(`version ${version} of LUKS`)
  const size = Number(head.readBigUInt64BE(8))
  if (!(size > 4096 && size <= maximumArea && size <= disk.size)) throw damaged()
  const json = Buffer.alloc(size - 4096)
  await disk.read(json, 4096, options)
  const end = json.indexOf(0)
  return parseVersion2(json.toString('utf8', 0, end < 0 ? json.length : end), disk)
}

/** LUKS1 on-disk format specification, figure 1. */
function parseVersion1(head: Buffer, disk: Disk): LuksHeader {
  const text = (offset: number): string => head.toString('latin1', offset, offset + 32).split('\0')[0] ?? ''
  checkCipher(`${text(8)}-${text(40)}`)
  const hash = checkHash(text(72))
  const keyBytes = checkKeyBytes(head.readUInt32BE(108))
  const digest = {
    hash,
    iterations: checkIterations(head.readUInt32BE(164)),
    salt: head.subarray(132, 164),
    value: head.subarray(112, 132),
  }
  const keySlots: LuksKeySlot[] = []
  for (let at = 208; at < 208 + 8 * 48; at += 48) {
    if (head.readUInt32BE(at) !== 0x00ac71f3) continue
    const stripes = head.readUInt32BE(at + 44)
    keySlots.push({
      derivation: {
        kind: 'pbkdf2',
        hash,
        iterations: checkIterations(head.readUInt32BE(at + 4)),
        salt: head.subarray(at + 8, at + 40),
      },
      area: checkArea(disk, {
        offset: head.readUInt32BE(at + 40) * 512,
        keyBytes,
        splitBytes: keyBytes * stripes,
      }),
      stripes,
      splitHash: hash,
      digest,
    })
  }
  const offset = head.readUInt32BE(104) * 512
  return {
    payload: checkPayload(disk, { offset, length: null, sectorSize: 512, firstTweak: 0, keyBytes }),
    keySlots,
  }
}

const decimal = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number)
const base64 = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')))

/** LUKS2 on-disk format specification, section 3. */
const metadataSchema = z.object({
  keyslots: z.record(
    z.string(),
    z.object({
      type: z.string(),
      key_size: z.number(),
      af: z.object({ type: z.literal('luks1'), stripes: z.int().positive(), hash: z.string() }).optional(),
      area: z.object({
        offset: decimal,
        size: decimal,
        encryption: z.string().optional(),
        key_size: z.number().optional(),
      }),
      kdf: z
        .discriminatedUnion('type', [
          z.object({ type: z.literal('pbkdf2'), hash: z.string(), iterations: z.number(), salt: base64 }),
          z.object({
            type: z.enum(['argon2i', 'argon2id']),
            time: z.int().positive(),
            memory: z.int().positive(),
            cpus: z.int().positive(),
            salt: base64,
          }),
        ])
        .optional(),
    }),
  ),
  segments: z.record(
    z.string(),
    z.object({
      type: z.string(),
      offset: decimal,
      size: z.union([z.literal('dynamic'), decimal]),
      iv_tweak: decimal.optional(),
      encryption: z.string().optional(),
      sector_size: z.number().optional(),
    }),
  ),
  digests: z.record(
    z.string(),
    z.object({
      type: z.literal('pbkdf2'),
      keyslots: z.array(z.string()),
      segments: z.array(z.string()),
      hash: z.string(),
      iterations: z.number(),
      salt: base64,
      digest: base64,
    }),
  ),
})

function parseVersion2(text: string, disk: Disk): LuksHeader {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw damaged()
  }
  const parsed = metadataSchema.safeParse(json)
  if (!parsed.success) throw damaged()
  const { keyslots, segments, digests } = parsed.data
  const [[segmentId, segment] = [], ...more] = Object.entries(segments)
  if (segmentId === undefined || !segment || more.length > 0 || segment.type !== 'crypt') {
    throw unsupported('a volume that is being encrypted anew, or is made of several parts')
  }
  checkCipher(segment.encryption ?? '')
  const keySlots: LuksKeySlot[] = []
  let keyBytes = 64
  for (const digest of Object.values(digests)) {
    if (!digest.segments.includes(segmentId)) continue
    for (const id of digest.keyslots) {
      const slot = keyslots[id]
      if (slot?.type !== 'luks2' || !slot.af || !slot.kdf || slot.area.encryption !== knownCipher) continue
      keyBytes = checkKeyBytes(slot.key_size)
      keySlots.push({
        derivation: readDerivation(slot.kdf),
        area: checkArea(disk, {
          offset: slot.area.offset,
          keyBytes: checkKeyBytes(slot.area.key_size ?? 0),
          splitBytes: keyBytes * slot.af.stripes,
        }),
        stripes: slot.af.stripes,
        splitHash: checkHash(slot.af.hash),
        digest: {
          hash: checkHash(digest.hash),
          iterations: checkIterations(digest.iterations),
          salt: digest.salt,
          value: digest.digest,
        },
      })
    }
  }
  const payload = checkPayload(disk, {
    offset: segment.offset,
    length: segment.size === 'dynamic' ? null : segment.size,
    sectorSize: segment.sector_size ?? 512,
    firstTweak: segment.iv_tweak ?? 0,
    keyBytes,
  })
  return { payload, keySlots }
}

type ParsedDerivation = NonNullable<z.infer<typeof metadataSchema>['keyslots'][string]['kdf']>

function readDerivation(kdf: ParsedDerivation): LuksDerivation {
  if (kdf.type === 'pbkdf2') {
    const { hash, iterations, salt } = kdf
    return { kind: 'pbkdf2', hash: checkHash(hash), iterations: checkIterations(iterations), salt }
  }
  const { type, time, memory, cpus, salt } = kdf
  if (memory > maximumMemory || time > 1000 || cpus > 64)
    throw unsupported('a key that takes more than 4 GiB of memory')
  return { kind: type, passes: time, memory, parallelism: cpus, salt }
}

function checkCipher(cipher: string): void {
  if (cipher !== knownCipher) throw unsupported(`the cipher ${cipher.replace(/[^\w-]/g, '?').slice(0, 60)}`)
}

function checkHash(hash: string): string {
  if (!hashes.has(hash)) throw unsupported(`the hash ${hash.replace(/[^\w-]/g, '?').slice(0, 60)}`)
  return hash
}

function checkKeyBytes(bytes: number): number {
  if (bytes !== 32 && bytes !== 64) throw unsupported(`a key of ${bytes} bytes`)
  return bytes
}

function checkIterations(iterations: number): number {
  if (!(Number.isInteger(iterations) && iterations > 0 && iterations <= maximumIterations)) throw damaged()
  return iterations
}

function checkArea(
  disk: Disk,
  { offset, keyBytes, splitBytes }: { offset: number; keyBytes: number; splitBytes: number },
): LuksKeySlot['area'] {
  const length = Math.ceil(splitBytes / 512) * 512
  if (!(length > 0 && length <= maximumArea && offset >= 0 && offset + length <= disk.size)) throw damaged()
  return { offset, length, keyBytes }
}

function checkPayload(
  disk: Disk,
  payload: Omit<LuksPayload, 'length'> & { length: number | null },
): LuksPayload {
  const { offset, sectorSize, firstTweak } = payload
  const isSize = [512, 1024, 2048, 4096].includes(sectorSize)
  if (
    !isSize ||
    offset % 512 !== 0 ||
    !(offset > 0 && offset < disk.size) ||
    !Number.isSafeInteger(firstTweak)
  ) {
    throw damaged()
  }
  const room = disk.size - offset
  const length = payload.length ?? room - (room % sectorSize)
  if (length > room || length % sectorSize !== 0) throw damaged()
  return { ...payload, length }
}

function damaged(): GuestError {
  return new GuestError('FILESYSTEM_DAMAGED', 'The header of the encrypted volume is damaged.')
}

function unsupported(what: string): GuestError {
  return new GuestError('FILESYSTEM_UNSUPPORTED', `The encrypted volume uses ${what}.`, {
    hint: 'Volumes of LUKS 1 and 2 with the cipher aes-xts-plain64 can be looked into.',
  })
}

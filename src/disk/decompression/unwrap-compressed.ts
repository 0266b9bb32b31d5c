import { formatSize } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { Findings } from '../safety/findings.ts'
import { harmlessExpansion } from '../safety/limits.ts'
import type { DiskErrorCode, SafetyLimits } from '../safety/verdict.ts'
import type { Wrapping } from '../wrapping/wrapping.ts'
import type { Codec } from './codec.ts'
import { type ContentScan, contentScan } from './content-scan.ts'
import { decompressedSource } from './decompressed-source.ts'
import { RestartPoints } from './restart-points.ts'
import { defaultScratchFolder, openScratchFile, type ScratchFile } from './scratch-file.ts'

/**
 * Takes a compression off. One pass decompresses everything: it learns the size and where the zeros are, keeps the ends,
 * and sees that no checksum is wrong, nothing is cut short, and nothing grows beyond the limits. What is inside is then
 * read by `decompressedSource`.
 */
export function compressedWrapping(codec: Codec): Wrapping {
  const { wrapping } = codec
  return {
    async unwrap(source, options) {
      const {
        signal,
        limits,
        access,
        scratchFolder = defaultScratchFolder(),
        onScratch,
        onProgress,
      } = options
      const findings = new Findings({
        [`${wrapping}.stream`]: 'It decompresses to its end, and every checksum in it is right.',
        [`${wrapping}.size`]: 'What comes out is no larger than the limits allow.',
      })
      const openScratch = async (size: number): Promise<ScratchFile> => {
        onScratch?.({ name: source.name, size })
        return openScratchFile(scratchFolder)
      }
      const points = new RestartPoints()
      const scan = contentScan()
      let scratch: ScratchFile | null = null
      try {
        const decoding = codec.decode(source, {
          signal,
          onRestartPoint: (point) => points.add(point),
          onProgress: (done) => onProgress?.(done, source.size),
        })
        for await (const chunk of decoding) {
          const position = scan.size
          scan.take(chunk)
          const excess = excessOf(scan, source, limits)
          if (excess) {
            findings.refuse(`${wrapping}.size`, excess.code, undefined, () => excess.message)
            break
          }
          if (access !== 'random' || scan.keepsAll) continue
          scratch ??= await openScratch(scan.dataSize)
          await scratch.write(chunk, position, { signal })
        }
      } catch (error) {
        await scratch?.close()
        scratch = null
        findings.refuseFor(`${wrapping}.stream`, error)
      }
      const checks = findings.results()
      if (findings.refused) {
        await scratch?.close()
        return { wrapping, checks, image: null }
      }
      const content = scan.finish()
      const image = decompressedSource({
        name: source.name,
        source,
        codec,
        content,
        points,
        scratch,
        openScratch: () => openScratch(content.dataSize),
      })
      return { wrapping, checks, image }
    },
  }
}

/** Containers are larger than the disks in them, by their tables. */
const overhead = 1 / 256

/**
 * Zeros are no expansion: where they end up they take no room. A terabyte of them in a megabyte is an ordinary empty
 * disk; the limit of the size is what bounds the time they take.
 */
function excessOf(
  { size, dataSize }: ContentScan,
  source: RandomAccessSource,
  { virtualSize, expansionRatio }: SafetyLimits,
): { code: DiskErrorCode; message: string } | null {
  if (size > virtualSize * (1 + overhead)) {
    return {
      code: 'IMAGE_SIZE_LIMIT',
      message: `It decompresses to more than the limit of ${formatSize(virtualSize)}.`,
    }
  }
  if (dataSize <= harmlessExpansion || dataSize <= expansionRatio * source.size) return null
  return {
    code: 'IMAGE_EXPANSION_LIMIT',
    message: `Its ${formatSize(source.size)} decompress to more than ${expansionRatio} times as much data, zeros not counted.`,
  }
}

import { type ByteRanges, rangeEnd, rangeStart } from '../byte-ranges.ts'
import { encodeTarHeader, type NewMember, sealTarHeader } from './tar-header.ts'
import { gnuSparse, tarBlock } from './tar-layout.ts'
import { writeTarNumber } from './tar-number.ts'

/**
 * The header of a sparse member in the old GNU form (GNU tar manual, "Old GNU Format"), with the blocks of its map behind it.
 * What is stored are the ranges, one behind the other. As GNU tar does it, an empty one at the end says where that is.
 */
export function* encodeSparseMember(
  member: NewMember,
  stored: ByteRanges,
): Generator<Buffer, void, undefined> {
  const { header: first, extension, numberBytes, pairBytes } = gnuSparse
  const header = encodeTarHeader({ ...member, size: stored.total, gnu: true })
  header.write('S', 156, 'latin1')
  writeTarNumber(header, first.realSize, member.size)
  const count = stored.count + 1
  let index = 0
  const fill = (block: Buffer, layout: typeof first | typeof extension): void => {
    for (let place = 0; place < layout.count && index < count; place += 1, index += 1) {
      const at = layout.pairs + place * pairBytes
      const isLast = index === stored.count
      const start = isLast ? member.size : rangeStart(stored, index)
      writeTarNumber(block, [at, numberBytes], start)
      writeTarNumber(block, [at + numberBytes, numberBytes], isLast ? 0 : rangeEnd(stored, index) - start)
    }
    block[layout.isExtended] = index < count ? 1 : 0
  }
  fill(header, first)
  sealTarHeader(header)
  yield header
  while (index < count) {
    const block = Buffer.alloc(tarBlock)
    fill(block, extension)
    yield block
  }
}

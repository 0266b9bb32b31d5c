const mebi = 1024 * 1024

export interface CheckedVdi {
  readonly type: number
  readonly imageId: string
  readonly disk: Buffer
  /** Blocks that are in the file. */
  readonly allocated: number
}

/**
 * A second opinion about VDI images, written from the description of the format alone and sharing nothing with the code
 * it judges: takes an image apart as VirtualBox would, and fails with what is wrong with it.
 * @throws Error
 */
export function checkVdiImage(file: Buffer): CheckedVdi {
  const u32 = (offset: number) => file.readUInt32LE(offset)
  const must = (isRight: boolean, what: string) => {
    if (!isRight) throw new Error(`VDI: ${what}`)
  }
  must(/^<<< .* >>>\n\0/.test(file.toString('latin1', 0, 64)), 'no title')
  must(u32(0x40) === 0xbeda107f, 'signature')
  must(u32(0x44) === 0x00010001, 'version')
  must(u32(0x48) === 0x190, 'size of the header')
  const type = u32(0x4c)
  must(type === 1 || type === 2, 'type')
  must(u32(0x50) === 0, 'flags')
  must(
    file.subarray(0x54, 0x154).every((byte) => byte === 0),
    'comment',
  )
  const [map, data] = [u32(0x154), u32(0x158)]
  must(map % 512 === 0 && map >= 0x48 + 0x190, 'place of the map')
  must(data % mebi === 0, 'data at a boundary of 1 MiB')
  must([0x15c, 0x160, 0x164].every((offset) => u32(offset) === 0) && u32(0x168) === 512, 'old geometry')
  const size = Number(file.readBigUInt64LE(0x170))
  must(size > 0 && size % 512 === 0, 'size')
  must(u32(0x178) === mebi && u32(0x17c) === 0, 'size of blocks')
  const [blocks, allocated] = [u32(0x180), u32(0x184)]
  must(blocks === Math.ceil(size / mebi), 'number of blocks')
  must(map + blocks * 4 <= data, 'room for the map')
  const ids = [0x188, 0x198].map((offset) => file.toString('hex', offset, offset + 16))
  must(
    ids.every((id) => !/^0*$/.test(id)),
    'ids',
  )
  must(
    file.subarray(0x1a8, 0x1c8).every((byte) => byte === 0),
    'no parent',
  )
  must(u32(0x1d4) === 512, 'sector size of the geometry')
  must(file.length === data + allocated * mebi, 'length of the file')

  const disk = Buffer.alloc(blocks * mebi)
  const seen = new Set<number>()
  for (let block = 0; block < blocks; block += 1) {
    const entry = u32(map + block * 4)
    if (entry === 0xffffffff) continue
    must(entry < allocated && !seen.has(entry), `entry ${entry} of block ${block}`)
    seen.add(entry)
    file.copy(disk, block * mebi, data + entry * mebi, data + (entry + 1) * mebi)
  }
  must(seen.size === allocated, 'number of allocated blocks')
  if (type === 2) must(allocated === blocks, 'all blocks of a fixed image')
  must(
    disk.subarray(size).every((byte) => byte === 0),
    'zeros behind the end of the disk',
  )
  return { type, imageId: ids[0] ?? '', disk: disk.subarray(0, size), allocated }
}

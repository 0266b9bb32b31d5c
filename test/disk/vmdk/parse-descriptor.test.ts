import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DiskError } from '../../../src/disk/errors.ts'
import { parseDescriptor } from '../../../src/disk/vmdk/parse-descriptor.ts'
import { describeVmdk } from '../../../testbed/hostile/vmdk-sketch.ts'

const parse = (text: string) =>
  parseDescriptor({ text: Buffer.from(text, 'latin1'), name: 'image', start: 0 })

describe('parseDescriptor', () => {
  test('gives the extents in order, with their places', () => {
    const { createType, size, hasParent, extents } = parse(
      describeVmdk({
        createType: 'twoGbMaxExtentFlat',
        extents: ['RW 4192256 FLAT "a b-f001.vmdk" 0', 'rdonly 63 zero', 'RW 8 FLAT "c.vmdk" 64 more of it'],
      }),
    )
    expect({ createType, size, hasParent }).toEqual({
      createType: 'twoGbMaxExtentFlat',
      size: (4_192_256 + 63 + 8) * 512,
      hasParent: false,
    })
    expect(extents).toEqual([
      { access: 'RW', size: 4_192_256 * 512, type: 'FLAT', fileName: 'a b-f001.vmdk', offset: 0 },
      { access: 'RDONLY', size: 63 * 512, type: 'ZERO', fileName: null, offset: 0 },
      { access: 'RW', size: 8 * 512, type: 'FLAT', fileName: 'c.vmdk', offset: 64 * 512 },
    ])
  })

  test('tells a difference to another disk by its CID, in either case', () => {
    expect(parse(describeVmdk({ parentCid: 'FFFFFFFF' })).hasParent).toBe(false)
    expect(parse(describeVmdk({ parentCid: 'fffffffe' })).hasParent).toBe(true)
    expect(parse(describeVmdk().replace(/^parentCID.*$/m, '')).hasParent).toBe(false)
  })

  test('reads up to the first NUL', () => {
    expect(parse(`${describeVmdk()}\0\0anything`).extents.length).toBe(1)
  })

  test('says where the line is that it does not know', () => {
    const text = describeVmdk({ more: 'what is this\n' })
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ details: { offset: text.indexOf('what is this') } }),
    )
  })

  test('gives a descriptor or a typed error for any text', () => {
    const line = fc.oneof(
      fc.constantFrom(...describeVmdk().split('\n'), 'RW 8 FLAT "a" 0', 'NOACCESS 1 ZERO', '\r', '='),
      fc.string({ maxLength: 40 }),
      fc
        .tuple(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }))
        .map(([key, value]) => `${key}=${value}`),
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
        try {
          const { extents, size } = parse(lines.join('\n'))
          expect(extents.reduce((sum, extent) => sum + extent.size, 0)).toBe(size)
          expect(extents.length).toBeGreaterThan(0)
        } catch (error) {
          expect(error).toBeInstanceOf(DiskError)
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('takes no time that grows faster than the text', () => {
    const spaces = ' '.repeat(300_000)
    const before = process.cpuUsage()
    for (const text of [
      `RW${spaces}1`,
      `RW 1 SPARSE${spaces}"`,
      `RW 1 SPARSE "${spaces}`,
      `${'a'.repeat(300_000)} =`,
    ]) {
      expect(() => parse(text)).toThrow(DiskError)
    }
    const { user, system } = process.cpuUsage(before)
    expect(user + system).toBeLessThan(500_000)
  })
})

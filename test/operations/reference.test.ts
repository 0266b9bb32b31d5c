import { resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { outputFormatOf } from '../../src/operations/output-format.ts'
import { formatReference, parseCloudReference, parseReference } from '../../src/operations/reference.ts'

describe('a reference', () => {
  it.each([
    ['local:web1', { kind: 'cloud', cloud: 'local', thing: 'web1' }],
    ['my.cloud-2:web golden: final', { kind: 'cloud', cloud: 'my.cloud-2', thing: 'web golden: final' }],
    ['local:/odd/name', { kind: 'cloud', cloud: 'local', thing: '/odd/name' }],
    ['disk.raw', { kind: 'file', path: resolve('disk.raw') }],
    ['./a:b.qcow2', { kind: 'file', path: resolve('a:b.qcow2') }],
    ['/srv/a:b.qcow2', { kind: 'file', path: '/srv/a:b.qcow2' }],
    ['file:///srv/a%20b.raw', { kind: 'file', path: '/srv/a b.raw' }],
    ['file:/srv/disk.raw', { kind: 'file', path: '/srv/disk.raw' }],
  ])('%s is understood', (text, expected) => {
    expect(parseReference(text)).toEqual(expected)
  })

  it.each([
    '',
    'https://example.org/disk.qcow2',
    'http://x/y',
    'urn:publicid:IDN+x',
    'file:disk.raw',
    'file://host/x',
  ])('"%s" is refused', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }))
  })

  it.each(['disk.raw', './local:x', '/x', 'local:'])('"%s" names nothing in a cloud', (text) => {
    expect(() => parseCloudReference(text)).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }))
  })

  it('to a thing in a cloud is written as it is read, whatever its name', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (thing) => {
        const reference = { kind: 'cloud', cloud: 'local', thing } as const
        expect(parseReference(formatReference(reference))).toEqual(reference)
      }),
    )
  })
})

describe('the output format', () => {
  it.each([
    ['a.raw', 'raw'],
    ['a.IMG', 'raw'],
    ['/b/c.qcow2', 'qcow2'],
    ['c.d.QCOW', 'qcow2'],
    ['a.vmdk', 'vmdk'],
    ['image.v1.tar.gz', 'gcp'],
    ['a.IMG.GZ', 'raw.gz'],
    ['a.raw.zst', 'raw.zst'],
  ])('of %s is %s', (path, format) => {
    expect(outputFormatOf(path)).toBe(format)
  })

  it.each(['a', 'a.gz', '.raw', 'raw', '.tar.gz', 'b/.img.gz', 'a.raw.xz', 'a.qcow2.gz'])(
    'of %s is not guessed',
    (path) => {
      expect(() => outputFormatOf(path)).toThrow(expect.objectContaining({ code: 'FORMAT_UNKNOWN' }))
    },
  )
})

import { describe, expect, it } from 'vitest'
import { formatManifest, parseManifest } from '../../../src/disk/ova/manifest.ts'

const sha1 = 'a'.repeat(40)
const sha256 = 'b'.repeat(64)
const sha512 = 'c'.repeat(128)

describe('formatManifest', () => {
  it('writes the one form that every importer takes', () => {
    const text = formatManifest([
      { file: 'web.ovf', algorithm: 'sha256', digest: sha256 },
      { file: 'web-disk1.vmdk', algorithm: 'sha1', digest: sha1 },
      { file: 'web-disk1.vmdk', algorithm: 'sha512', digest: sha512 },
    ])
    expect(text).toBe(
      `SHA256(web.ovf)= ${sha256}\nSHA1(web-disk1.vmdk)= ${sha1}\nSHA512(web-disk1.vmdk)= ${sha512}\n`,
    )
    expect(parse(text)).toHaveLength(3)
  })
})

describe('parseManifest', () => {
  it.each([
    ['as it is specified', `SHA256(a.ovf)= ${sha256}\n`],
    ['with the ends of lines of Windows', `SHA256(a.ovf)= ${sha256}\r\n`],
    ['with blanks, as openssl wrote it', `SHA256 (a.ovf) = ${sha256}\n`],
    ['without any blank', `SHA256(a.ovf)=${sha256}\n`],
    ['by its full name', `SHA2-256(a.ovf)= ${sha256}\n`],
    ['in capitals, without a last end of line', `\nSHA256(a.ovf)= ${sha256.toUpperCase()}`],
  ])('reads a digest %s', (_, text) => {
    expect(parse(text)).toEqual([{ file: 'a.ovf', algorithm: 'sha256', digest: sha256 }])
  })

  it.each([
    ['nothing', ''],
    ['an algorithm nobody should use', `MD5(a.ovf)= ${'a'.repeat(32)}`],
    ['a digest of another length', `SHA256(a.ovf)= ${sha1}`],
    ['a digest with other signs', `SHA1(a.ovf)= ${'g'.repeat(40)}`],
    ['no parenthesis', `SHA1 a.ovf= ${sha1}`],
    ['the form of sha256sum', `${sha256}  a.ovf`],
    ['two digests of one file', `SHA1(a.ovf)= ${sha1}\nSHA1(a.ovf)= ${'b'.repeat(40)}`],
    ['a name that goes on', `SHA1(${'a'.repeat(300)})= ${sha1}`],
    ['thousands of lines', `SHA1(a.ovf)= ${sha1}\n`.repeat(2000)],
    ['bytes', '\0\xff\x01'],
  ])('refuses %s', (_, text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'IMAGE_MANIFEST_INVALID' }))
  })
})

function parse(text: string) {
  return parseManifest(Buffer.from(text))
}

import { describe, expect, it } from 'vitest'
import { parseXml } from '../../../src/disk/ova/parse-xml.ts'

describe('parseXml', () => {
  it('gives elements, attributes and text without prefixes, references decoded', () => {
    const root = parse(
      `<?xml version="1.0" encoding="utf-8"?><!-- a comment --><o:a xmlns:o="urn:o" o:x="1 &amp; &#x32;"><b> t&lt;<![CDATA[<raw>]]></b><c/></o:a>\n `,
    )
    expect(root).toEqual({
      name: 'a',
      attributes: new Map([['x', '1 & 2']]),
      children: [
        { name: 'b', attributes: new Map(), children: [], text: 't<<raw>' },
        { name: 'c', attributes: new Map(), children: [], text: '' },
      ],
      text: '',
    })
  })

  it.each([
    ['a document type', '<!DOCTYPE a><a/>'],
    ['entities that expand', `<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><a>&y;</a>`],
    ['an entity that is a file', '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/shadow">]><a>&x;</a>'],
    ['a document type in small letters', '<!doctype a><a/>'],
    ['a reference to an entity that nobody declared', '<a>&x;</a>'],
    ['a reference to an entity in an attribute', '<a b="&x;"/>'],
    ['a character that is none', '<a>&#0;</a>'],
    ['half of a character', '<a>&#xd800;</a>'],
    ['two roots', '<a/><b/>'],
    ['nothing', ''],
    ['text alone', 'a text'],
    ['an element that does not end', '<a><b></a>'],
    ['two attributes of one name', '<a b="1" b="2"/>'],
    ['two attributes of one name in different namespaces', '<a x:b="1" y:b="2"/>'],
    ['a name that is dangerous in a program', '<a><__proto__/></a>'],
    ['elements nested a thousand deep', `${'<a>'.repeat(1000)}${'</a>'.repeat(1000)}`],
    ['a hundred thousand elements', `<a>${'<b/>'.repeat(100_000)}</a>`],
    ['an encoding that is not UTF-8', '<?xml version="1.0" encoding="UTF-16"?><a/>'],
  ])('refuses %s', (_, text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'IMAGE_OVF_INVALID' }))
  })

  it('refuses bytes that are not UTF-8', () => {
    expect(() => parseXml(Buffer.from('<a>\xff</a>', 'latin1'))).toThrow(
      expect.objectContaining({ code: 'IMAGE_OVF_INVALID' }),
    )
  })

  it('says where the problem is, and nothing of the content', () => {
    const outcome = attempt('<a>\n<secret-name\n</a>')
    expect(outcome).toMatch(/line \d/)
    expect(outcome).not.toContain('secret-name')
  })

  it.each([
    ['blanks', `<a${' '.repeat(1_000_000)}/>`],
    ['openings', `<a>${'<'.repeat(1_000_000)}`],
    ['ampersands', `<a>${'&'.repeat(1_000_000)}</a>`],
    ['quotes', `<a b=${'"'.repeat(1_000_000)}/>`],
    ['attributes', `<a ${Array.from({ length: 80_000 }, (_, index) => `b${index}="x"`).join(' ')}/>`],
    ['references', `<a>${'&#65;'.repeat(200_000)}</a>`],
    ['names', `<a ${'b'.repeat(1_000_000)}/>`],
  ])('takes less than a second for a mebibyte of %s', (_, text) => {
    const before = process.cpuUsage()
    attempt(text)
    const { user, system } = process.cpuUsage(before)
    expect((user + system) / 1e6).toBeLessThan(1)
  })
})

function parse(text: string) {
  return parseXml(Buffer.from(text))
}

function attempt(text: string): string {
  try {
    parse(text)
    return ''
  } catch (error) {
    return String(error)
  }
}

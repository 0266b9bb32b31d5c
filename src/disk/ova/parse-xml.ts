import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { DiskError } from '../errors.ts'
import type { XmlElement } from './xml-element.ts'

/** Beyond it a descriptor is no descriptor, and parsing it would take seconds. */
const maximumTags = 20_000

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  maxNestedTags: 64,
  jPath: false,
})

/**
 * The root element of an XML document of a stranger. There is no document type, so nothing can be declared in it: no
 * entity that expands, none that names a file or an address. References other than those of XML itself are refused.
 * @throws DiskError `IMAGE_OVF_INVALID`, with the line where there is one; never with content
 */
export function parseXml(bytes: Uint8Array): XmlElement {
  const text = decode(bytes)
  if (/<!(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)/i.test(text)) {
    throw invalid('declares a document type, which could make it read other files')
  }
  if (text.split('<', maximumTags + 2).length > maximumTags + 1) {
    throw invalid(`has more than ${maximumTags} tags`)
  }
  const outcome = XMLValidator.validate(text)
  if (outcome !== true) throw invalid(`is not well-formed XML (line ${outcome.err.line})`)
  const [root, ...others] = elementsOf(parse(text))
  if (!root || others.length > 0) throw invalid('is not an XML document with one root')
  return root
}

function decode(bytes: Uint8Array): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    const encoding = /^<\?xml[^>]*\bencoding\s*=\s*["']([^"']*)["']/.exec(text)?.[1]
    if (encoding === undefined || /^(?:utf-?8|us-ascii)$/i.test(encoding)) return text
  } catch {
    // The same answer: nothing else is in use, and other programs might see other names.
  }
  throw invalid('is not in UTF-8')
}

function parse(text: string): unknown {
  try {
    return parser.parse(text)
  } catch (cause) {
    throw invalid('nests too deep, or is not well-formed XML', cause)
  }
}

/** The parser gives a list of nodes: `{ name: nodes, ':@': attributes }`, or `{ '#text': text }`. */
function elementsOf(nodes: unknown): XmlElement[] {
  if (!Array.isArray(nodes)) throw new Error('The XML parser gave no list of nodes.')
  return nodes.flatMap((node: unknown) => {
    const { ':@': attributes, ...rest } = recordOf(node)
    const [entry] = Object.entries(rest)
    if (!entry || entry[0] === '#text') return []
    const [name, inner] = entry
    return [
      {
        name: localName(name),
        attributes: attributesOf(recordOf(attributes ?? {})),
        children: elementsOf(inner),
        text: textOfNodes(inner),
      },
    ]
  })
}

function textOfNodes(nodes: unknown): string {
  if (!Array.isArray(nodes)) return ''
  const texts = nodes.map((node: unknown) => recordOf(node)['#text'])
  return decodeReferences(texts.filter((text) => typeof text === 'string').join('')).trim()
}

/** Attributes of one name in different namespaces could mean one thing here and another elsewhere. */
function attributesOf(raw: Readonly<Record<string, unknown>>): Map<string, string> {
  const attributes = new Map<string, string>()
  for (const [qualified, value] of Object.entries(raw)) {
    if (qualified === 'xmlns' || qualified.startsWith('xmlns:') || typeof value !== 'string') continue
    const name = localName(qualified)
    if (attributes.has(name)) throw invalid('has an element with two attributes of one name')
    attributes.set(name, decodeReferences(value))
  }
  return attributes
}

function recordOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new Error('The XML parser gave no node.')
  return Object.fromEntries(Object.entries(value))
}

function localName(qualified: string): string {
  return qualified.slice(qualified.lastIndexOf(':') + 1)
}

const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** XML 1.0, 4.1 and 4.6: the five of XML itself, and characters by number. */
function decodeReferences(text: string): string {
  return text.replace(/&([^;&]{0,16};)?/g, (_, reference: string | undefined) => {
    const name = reference?.slice(0, -1) ?? ''
    const known = Object.hasOwn(named, name) ? named[name] : characterOf(name)
    if (known === undefined) throw invalid('refers to an entity, and there are none')
    return known
  })
}

function characterOf(name: string): string | undefined {
  const digits = /^#(?:x([\da-f]{1,6})|(\d{1,7}))$/i.exec(name)
  if (!digits) return undefined
  const code = digits[1] === undefined ? Number(digits[2]) : Number.parseInt(digits[1], 16)
  const isCharacter = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) && code !== 0
  return isCharacter ? String.fromCodePoint(code) : undefined
}

function invalid(what: string, cause?: unknown): DiskError {
  return new DiskError('IMAGE_OVF_INVALID', `The OVF descriptor ${what}.`, { cause })
}

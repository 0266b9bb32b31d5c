/** An element of a document, names without their prefixes: those of OVF do not collide. */
export interface XmlElement {
  readonly name: string
  /** Without the declarations of namespaces. */
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly XmlElement[]
  /** All text directly in it, without white space around. */
  readonly text: string
}

export function childrenOf(element: XmlElement | undefined, name: string): XmlElement[] {
  return element?.children.filter((child) => child.name === name) ?? []
}

export function childOf(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((child) => child.name === name)
}

/** Text of the first child of this name; null when there is none, or nothing in it. */
export function textOf(element: XmlElement | undefined, name: string): string | null {
  return childOf(element, name)?.text || null
}

/** Null when it is missing or empty. */
export function attributeOf(element: XmlElement | undefined, name: string): string | null {
  return element?.attributes.get(name) || null
}

/** Sections of OVF have names of their own since version 1.0; before, they were all `Section` with a type. */
export function sectionsOf(element: XmlElement, name: string): XmlElement[] {
  return element.children.filter((child) => {
    return child.name === name || attributeOf(child, 'type')?.endsWith(`${name}_Type`)
  })
}

import type { WrappingName } from './wrapping.ts'

/** Endings of names, in the order in which the wrappings are tried on a name. */
const endings: Readonly<Record<Exclude<WrappingName, 'ova' | 'ovf'>, string>> = {
  gzip: 'gz',
  xz: 'xz',
  zstd: 'zst',
  tar: 'tar',
}

/** Names of their own for what is common. */
const aliases: ReadonlyMap<string, string> = new Map([['gcp', 'raw.tar.gz']])

/** What is commonly met beside bare disk formats, by the names below. */
export const wrappedFormats = ['raw.gz', 'raw.xz', 'raw.zst', 'gcp', 'ova', 'ovf'] as const

export interface Container {
  /** Outermost first. */
  readonly wrapping: readonly WrappingName[]
  /** Of the disk inside; undefined for an appliance, which names it itself. */
  readonly format: string | undefined
}

/**
 * One name for a disk format and what it is wrapped in: `raw.gz`, `qcow2.xz`; `gcp` for a raw disk in a gzipped
 * archive; `ova` and `ovf` whatever the disks in them are.
 */
export function containerName({ wrapping, format }: Container): string {
  if (format === undefined && !wrapping.some(isAppliance)) return 'unknown'
  const name = wrapping.toReversed().reduce((inner, outer) => {
    return isAppliance(outer) ? outer : `${inner}.${endings[outer]}`
  }, format ?? '')
  const [alias] = [...aliases].flatMap(([short, long]) => (long === name ? [short] : []))
  return alias ?? name
}

/** What such a name says. A name that is none of these is taken for a disk format, known or not. */
export function parseContainerName(name: string): Container {
  const [format, ...parts] = (aliases.get(name) ?? name).split('.')
  const wrapping = parts.toReversed().map(wrappingEndingIn)
  const known = wrapping.filter((found) => found !== undefined)
  if (known.length < wrapping.length) return { wrapping: [], format: name }
  if (format === 'ova' || format === 'ovf') return { wrapping: [...known, format], format: undefined }
  return { wrapping: known, format }
}

function isAppliance(name: WrappingName): name is 'ova' | 'ovf' {
  return name === 'ova' || name === 'ovf'
}

const compressions = ['gzip', 'xz', 'zstd', 'tar'] as const

function wrappingEndingIn(ending: string): WrappingName | undefined {
  return compressions.find((name) => endings[name] === ending)
}

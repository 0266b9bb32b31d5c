import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { isOva, unwrapOva } from '../ova/unwrap-ova.ts'
import { Findings } from '../safety/findings.ts'
import type { UnwrapOptions, Unwrapped, Wrapping } from '../wrapping/wrapping.ts'
import { memberSource } from './member-source.ts'
import { readTar } from './read-tar.ts'

/** Google's importer takes an archive with this member alone. */
const gcpMember = 'disk.raw'

/** A tar archive with a disk in it: GCP's `disk.raw`, or an OVA. Which it is, its members say. */
export const tarWrapping: Wrapping = {
  async unwrap(source: RandomAccessSource, options: UnwrapOptions): Promise<Unwrapped> {
    const content = await readTar(source, options)
    const { members, checks } = content
    if (checks.some(({ outcome }) => outcome === 'refused')) return { wrapping: 'tar', checks, image: null }
    if (isOva(members)) return unwrapOva(source, content, options)
    const findings = new Findings({ 'tar.content': 'The archive holds one disk, and nothing else.' })
    const [only] = members
    if (only?.name === gcpMember && members.length === 1) {
      const image = memberSource(source, only)
      return { wrapping: 'tar', checks: [...checks, ...findings.results()], image, format: 'raw' }
    }
    findings.refuse('tar.content', 'IMAGE_ARCHIVE_CONTENT', undefined, () => {
      return `It has ${members.length} members, and is no OVA (no .ovf) and no GCP archive (${gcpMember} alone).`
    })
    return { wrapping: 'tar', checks: [...checks, ...findings.results()], image: null }
  },
}

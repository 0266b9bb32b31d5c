import type { CloudImage } from '../clouds/cloud.ts'
import { carryProperties } from './carry-properties.ts'
import type { ImageDescription } from './store-image.ts'

export type DescribedCopy = {
  /** What the copy takes over. */
  readonly description: ImageDescription
  /** Properties that name other images, with their ids in the source cloud. */
  readonly related: Readonly<Record<string, string>>
  /** Names of properties that stay behind, with the reason. */
  readonly dropped: Readonly<Record<string, string>>
}

/** What a copy of an image is to have beside its data. Visibility, members and protection are the caller's to decide. */
export function describeCopy(image: CloudImage, options: { sameCloud: boolean }): DescribedCopy {
  const { kept, related, dropped } = carryProperties(image.properties, options)
  const { tags, minDisk, minRam, hidden } = image
  return { description: { properties: kept, tags, minDisk, minRam, hidden }, related, dropped }
}

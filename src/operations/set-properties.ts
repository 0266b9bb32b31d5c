import type { Cloud } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { JobContext } from '../jobs/job.ts'
import { OperationError } from './errors.ts'

export interface SetProperties {
  cloud: Cloud
  id: string
  properties: Readonly<Record<string, string | null>>
  /** Go on without those that the cloud refuses. */
  skipForbidden: boolean
}

/**
 * Sets the properties of an image one by one, to find out which of them a cloud refuses. Gives the names of those.
 * @throws OperationError `PROPERTIES_REFUSED` with all their names, unless they are to be skipped
 */
export async function setPropertiesOneByOne(
  context: JobContext,
  { cloud, id, properties, skipForbidden }: SetProperties,
): Promise<string[]> {
  const { signal } = context
  const refused: string[] = []
  let reason = ''
  for (const [name, value] of Object.entries(properties)) {
    try {
      await cloud.images.update(id, { properties: { [name]: value } }, { signal })
    } catch (error) {
      if (!isRefusal(error)) throw error
      refused.push(name)
      reason = error.message
    }
  }
  if (refused.length === 0) return []
  const message = `${cloud.name} refuses the properties ${refused.join(', ')}: ${reason}`
  if (!skipForbidden) {
    throw new OperationError('PROPERTIES_REFUSED', message, {
      hint: 'Go on without them with --skip-forbidden-properties, or ask the operators of the cloud.',
      details: { properties: refused },
    })
  }
  context.emit({ type: 'warning', code: 'PROPERTIES_SKIPPED', message })
  return refused
}

/** Whether a cloud says no to what was asked, rather than failing to do it. */
export function isRefusal(error: unknown): error is CloudError {
  if (!(error instanceof CloudError)) return false
  return error.code === 'CLOUD_FORBIDDEN' || error.code === 'CLOUD_QUOTA' || error.code === 'CLOUD_REFUSED'
}

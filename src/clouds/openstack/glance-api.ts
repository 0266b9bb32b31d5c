import type { AbortOptions } from '../../core/abort.ts'
import { CloudError } from '../errors.ts'
import { type GlanceRecord, glanceRecordSchema, isGone } from './glance-record.ts'
import type { OpenStackSession, ServiceRequest, ServiceResponse } from './session.ts'

/**
 * The record of an image.
 * @throws CloudError `IMAGE_NOT_FOUND`
 */
export async function getRecord(
  session: OpenStackSession,
  id: string,
  options: AbortOptions = {},
): Promise<GlanceRecord> {
  const response = await imageRequest(session, id, { ...options, path: '' })
  const record = await response.json(glanceRecordSchema)
  if (isGone(record)) throw imageNotFound(session, id)
  return record
}

/**
 * A request about one image, at `path` below it.
 * @throws CloudError `IMAGE_NOT_FOUND` where the cloud answers that there is none, or the id cannot be one
 */
export async function imageRequest(
  session: OpenStackSession,
  id: string,
  request: ServiceRequest,
): Promise<ServiceResponse> {
  // Every other text would be a request for something else, or a name that belongs to no image.
  if (!isImageId(id)) throw imageNotFound(session, id)
  try {
    return await session.request('image', {
      ...request,
      path: request.path === '' ? `images/${id}` : `images/${id}/${request.path}`,
    })
  } catch (error) {
    if (isCloudError(error, 'CLOUD_NOT_FOUND')) throw imageNotFound(session, id, error)
    throw error
  }
}

export function imageNotFound({ cloudName }: OpenStackSession, id: string, cause?: unknown): CloudError {
  return new CloudError('IMAGE_NOT_FOUND', `Cloud "${cloudName}" has no image ${id}.`, {
    hint: `See what there is: imagewright images list ${cloudName}`,
    cause,
  })
}

export function isCloudError(error: unknown, code: CloudError['code']): error is CloudError {
  return error instanceof CloudError && error.code === code
}

/** Glance's ids are UUIDs (schema "image"). */
export function isImageId(id: string): boolean {
  return /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(id)
}

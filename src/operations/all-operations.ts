import type { OperationDefinition } from '../jobs/operation-definition.ts'
import { cleanFileOperation, cleanStoredImageOperation } from './clean-image.ts'
import { cleanInPlaceOperation } from './clean-in-place.ts'
import { convertImageOperation } from './convert-image.ts'
import { createImageOperation } from './create-image.ts'
import { downloadImageOperation } from './download-image.ts'
import type { Environment } from './environment.ts'
import { exportImageOperation } from './export-image.ts'
import { migrateImageOperation } from './migrate-image.ts'
import { snapshotOperation } from './snapshot-instance.ts'
import { uploadImageOperation } from './upload-image.ts'
import { uploadStreamOperation } from './upload-stream.ts'

/** Everything a job can run; a stored job finds its operation here by name. */
export function allOperations(environment: Environment): OperationDefinition[] {
  return [
    createImageOperation(environment),
    snapshotOperation(environment),
    migrateImageOperation(environment),
    exportImageOperation(environment),
    convertImageOperation(environment),
    cleanFileOperation(environment),
    cleanInPlaceOperation(environment),
    cleanStoredImageOperation(environment),
    uploadImageOperation(environment),
    uploadStreamOperation(environment),
    downloadImageOperation(environment),
  ]
}

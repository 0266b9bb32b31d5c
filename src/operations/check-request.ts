import type { Cloud } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import { selectOperations } from '../guest/cleaning/select-operations.ts'
import { checkWriteOptions } from './check-write-options.ts'
import type { CleaningInput } from './cleaning-input.ts'
import { OperationError } from './errors.ts'
import type { StorageInput } from './storage-input.ts'

/*
 * What is wrong with a request is found before anything is made for it: a snapshot and an hour of copying are too much
 * to learn that a word was misspelt.
 */

/** @throws GuestError what `selectOperations` throws */
export function checkCleaning(clean: CleaningInput | null): void {
  if (clean) selectOperations(clean)
}

/**
 * @throws CloudError `CLOUD_UNSUPPORTED` when the cloud cannot store an image like this; OperationError `INPUT_INVALID`
 * when the options contradict each other
 */
export function checkStorage(cloud: Cloud, storage: StorageInput): void {
  const { images, instances } = cloud.capabilities
  const { format, members, visibility } = storage
  if (!images.visibilities.includes(visibility)) {
    throw unsupported(cloud, `the visibility "${visibility}"`, images.visibilities)
  }
  if (format && !images.formats.includes(format)) {
    throw unsupported(cloud, `the format "${format}"`, images.formats)
  }
  if (members.length > 0 && images.sharing === 'none') throw unsupported(cloud, 'members of an image')
  if (members.length > 0 && visibility !== 'private' && visibility !== 'shared') {
    throw new OperationError('INPUT_INVALID', `An image that is ${visibility} has no members.`, {
      hint: 'Leave the members out, or make it shared.',
    })
  }
  if (storage.bootTest && !instances.launch) throw unsupported(cloud, 'starting an instance of the image')
  if (format) checkWriteOptions({ format, subformat: storage.subformat, compression: storage.compression })
}

/** The error for what a cloud does not know; `known` is what it does know of the kind. */
export function unsupported(cloud: Cloud, what: string, known: readonly string[] = []): CloudError {
  return new CloudError('CLOUD_UNSUPPORTED', `${cloud.name} does not know ${what}.`, {
    hint: known.length > 0 ? `It knows: ${known.join(', ')}.` : 'Leave it out, or use another cloud.',
  })
}

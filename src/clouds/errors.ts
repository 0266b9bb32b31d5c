import { ImagewrightError } from '../core/errors.ts'

/** Every code of this room with its meaning; `docs/errors.md` is written from these tables. */
export const cloudErrorCodes = {
  CLOUD_UNKNOWN: 'No cloud of this name is configured.',
  CLOUD_UNSUPPORTED: 'This cloud cannot do what was asked.',
  CLOUD_UNREACHABLE: 'The cloud does not answer, or the connection to it breaks again and again.',
  CLOUD_SIGN_IN_FAILED: 'The cloud does not accept the credentials.',
  CLOUD_CREDENTIALS_INVALID: 'The credentials of the cloud are incomplete or contradict each other.',
  CLOUD_FORBIDDEN: 'This account is not allowed to do that.',
  CLOUD_NOT_FOUND: 'The cloud has no such thing, or this account may not see it.',
  CLOUD_CONFLICT: 'The cloud refuses because of the state of something else.',
  CLOUD_QUOTA: 'A quota or a size limit of the cloud does not allow this.',
  CLOUD_REFUSED: 'The cloud refuses what was asked, and says why.',
  CLOUD_FAILED: 'The cloud failed to answer properly, also when asked again.',
  CLOUD_ANSWER_INVALID: 'The cloud gave an answer that makes no sense.',
  CLOUD_SERVICE_MISSING: 'The catalogue of the cloud does not have the service that is needed.',
  IMAGE_CORRUPT: 'The bytes of the image are not the ones its checksums were made of.',
  IMAGE_NOT_FOUND: 'The cloud has no such image, or this account may not see it.',
  IMAGE_AMBIGUOUS: 'More than one image has this name.',
  IMAGE_HAS_NO_DATA: 'The image is only a record so far: nothing has been uploaded to it.',
  IMAGE_PROTECTED: 'The image is protected against deletion.',
  IMAGE_IN_USE: 'The image cannot be deleted because instances still need it.',
  IMAGE_STATE: 'The image is in a state that does not allow this.',
  INSTANCE_NOT_FOUND: 'The cloud has no such instance, or this account may not see it.',
  INSTANCE_AMBIGUOUS: 'More than one instance has this name.',
  INSTANCE_STATE: 'The instance is in a state that does not allow this.',
  INSTANCE_FAILED: 'The instance did not start, or stopped by itself.',
  INSTANCE_SNAPSHOT_FAILED: 'The disk of the instance could not be copied.',
  INSTANCE_NO_HOST: 'No machine of the cloud has room for the instance, or none fits what it needs.',
  INSTANCE_NETWORK_AMBIGUOUS: 'There are several networks, and none was named for the instance.',
  INSTANCE_INVALID: 'What was asked of a new instance cannot be had.',
  HYPERVISOR_FAILED: 'The program that runs instances did not answer, or refused a command.',
  LOCAL_FOLDER_UNUSABLE: 'The folder of the embedded cloud cannot be used.',
  LOCAL_RECORD_INVALID: 'A record in the folder of the embedded cloud cannot be read.',
  LOCAL_BUSY: 'Another process is working on the same thing and did not finish in time.',
} as const

export class CloudError extends ImagewrightError<keyof typeof cloudErrorCodes> {}

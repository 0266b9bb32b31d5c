import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import { diskFormats, isDiskFormat } from '../disk/format-readers.ts'
import { isOpaque } from '../disk/opaque-format.ts'
import { isOutputFormat, type OutputFormat } from '../disk/write-disk.ts'
import type { CleaningInput } from './cleaning-input.ts'
import { OperationError } from './errors.ts'

/** In what container a copy is stored, and whether it is the source's own, byte for byte. */
export type ContainerChoice = {
  readonly verbatim: boolean
  readonly format: string
  /** The cloud's own word for the wrapping; null for its usual one. */
  readonly container: string | null
}

export interface ContainerWishes {
  target: Cloud
  clean: CleaningInput | null
  format?: OutputFormat | undefined
  subformat?: string | undefined
  compression?: string | undefined
}

/**
 * An image is copied byte for byte where the target takes its format and nothing asks for another container; otherwise
 * its disk is written anew.
 * @throws CloudError `CLOUD_UNSUPPORTED`; OperationError `FORMAT_UNKNOWN` when the image can neither be copied nor read
 */
export function chooseContainer(
  image: Pick<CloudImage, 'name' | 'format' | 'container'>,
  { target, clean, format: wanted, subformat, compression }: ContainerWishes,
): ContainerChoice {
  const { formats } = target.capabilities.images
  const { format } = image
  // An appliance is more than its disk, whose format its record has.
  const isDisk = image.container !== 'ova'
  const asItIs = isDisk && !clean && !subformat && !compression && (wanted ?? format) === format
  if (format !== null && asItIs && (isOpaque(format) || isReadable(format)) && formats.includes(format)) {
    // The three-part images have a container of their own name; everything else is bare.
    const container = image.container === format ? format : null
    return { verbatim: true, format, container }
  }
  if (format !== null && isOpaque(format)) {
    if (formats.includes(format)) throw unreadable(image, 'can only be copied as it is')
    throw new CloudError(
      'CLOUD_UNSUPPORTED',
      `${target.name} does not take images of the format ${format}.`,
      {
        hint: `It takes: ${formats.join(', ')}.`,
      },
    )
  }
  if (format !== null && !isReadable(format)) throw unreadable(image, 'cannot be read by this version')
  return { verbatim: false, format: chooseFormat(target, wanted, format), container: null }
}

function chooseFormat(target: Cloud, wanted: OutputFormat | undefined, format: string | null): OutputFormat {
  if (wanted) return wanted
  const { formats } = target.capabilities.images
  if (format !== null && isOutputFormat(format) && formats.includes(format)) return format
  const [preferred] = formats.filter(isOutputFormat)
  if (preferred) return preferred
  throw new OperationError('FORMAT_UNKNOWN', `${target.name} takes none of the formats that can be written.`)
}

/** An AMI is a raw file system whose kernel is an image of its own. */
function isReadable(format: string): boolean {
  return format === 'ami' || isDiskFormat(format)
}

function unreadable({ name, format }: Pick<CloudImage, 'name' | 'format'>, why: string): OperationError {
  return new OperationError('FORMAT_UNKNOWN', `The image "${name}" has the format ${format}, which ${why}.`, {
    hint: `Formats that can be read: ${diskFormats.join(', ')}.`,
  })
}

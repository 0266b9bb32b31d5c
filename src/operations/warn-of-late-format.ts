import type { Cloud } from '../clouds/cloud.ts'
import type { JobContext } from '../jobs/job.ts'

export interface LateFormat {
  target: Cloud
  /** Name of the image. */
  name: string
  format: string
  subformat: string | undefined
}

/** Warns before an image is sent whose format the target cannot see: of all that is stored, that of a fixed VHD. */
export function warnOfLateFormat(
  context: Pick<JobContext, 'emit'>,
  { target, name, format, subformat }: LateFormat,
): void {
  if (format !== 'vhd' || subformat !== 'fixed' || !target.capabilities.images.inspectsBeginning) return
  context.emit({
    type: 'warning',
    code: 'FORMAT_SHOWN_AT_END',
    message: `${name} is a fixed VHD, which ${target.name} takes for a raw disk and may refuse. Store it as a dynamic one (--format vhd --subformat dynamic), or as raw (--format raw).`,
  })
}

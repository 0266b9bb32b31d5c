import type { Disk } from '../disk/disk.ts'
import { diskAsWritten, type WriteDiskOptions } from '../disk/write-disk.ts'
import type { JobContext } from '../jobs/job.ts'

/** `diskAsWritten`, with a warning when the disk becomes larger: a GPT then has its copy no more at the end. */
export function diskForOutput(
  context: Pick<JobContext, 'emit'>,
  disk: Disk,
  container: Pick<WriteDiskOptions, 'format' | 'subformat'>,
): Disk {
  const written = diskAsWritten(disk, container)
  if (written.size > disk.size) {
    const kind = [container.subformat ?? [], container.format].flat().join(' ')
    context.emit({
      type: 'warning',
      code: 'DISK_FILLED_UP',
      message: `The disk of ${disk.size} bytes has ${written.size} in a ${kind} image, which has no such size: zeros were added at its end.`,
    })
  }
  return written
}

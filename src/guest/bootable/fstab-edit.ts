import { parseFstabLine } from '../inspect/fstab.ts'

/** A file with changes, and the changes in words. */
export interface TextEdit {
  readonly text: string
  readonly changes: readonly string[]
}

/**
 * The fstab of a system that will be alone on its disk: its root by UUID, and no waiting for disks that a cloud once
 * provided. What is optional (`nofail`, `noauto`), virtual or on the network stays.
 */
export function adaptFstab(text: string, root: { uuid: string; type: string }): TextEdit {
  const changes: string[] = []
  const wanted = `UUID=${root.uuid}`
  let hasRoot = false
  const lines = text.split('\n').map((line) => {
    const entry = parseFstabLine(line)
    if (!entry) return line
    if (entry.mountPoint === '/') {
      hasRoot = true
      if (entry.device.toLowerCase() === wanted.toLowerCase()) return line
      changes.push(`the root is ${wanted} instead of ${entry.device}`)
      return line.replace(/\S+/, wanted)
    }
    const isOptional = entry.options.some((option) => option === 'nofail' || option === 'noauto')
    if (isOptional || !isOfDisk(entry.device)) return line
    changes.push(`${entry.device} (${entry.mountPoint}) is not in this disk and is commented out`)
    return `# Not in this disk: ${line}`
  })
  if (!hasRoot) {
    changes.push(`the root is ${wanted}`)
    const added = `${wanted} / ${root.type} defaults 0 1`
    lines.splice(lines.at(-1) === '' ? -1 : lines.length, 0, added)
  }
  return { text: lines.join('\n'), changes }
}

/** Whether an fstab's device is one that a machine has to have; drives whose medium may be missing are not. */
function isOfDisk(device: string): boolean {
  return /^(?:UUID|LABEL|PARTUUID|PARTLABEL)=|^\/dev\/(?!(?:cdrom|dvd|sr|scd|fd|floppy|shm|pts)\w*$)/i.test(
    device,
  )
}

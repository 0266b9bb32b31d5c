/** A record of `/etc/fstab`; fstab(5). */
export interface FstabEntry {
  /** `UUID=…`, `LABEL=…`, `PARTUUID=…`, `PARTLABEL=…`, a device, a path, or the name of a virtual file system. */
  readonly device: string
  readonly mountPoint: string
  readonly type: string
  readonly options: readonly string[]
}

/** The records of an fstab; comments, blank lines and lines with less than three fields are passed over. */
export function parseFstab(text: string): FstabEntry[] {
  return text.split(/\r?\n/).flatMap((line) => parseFstabLine(line) ?? [])
}

/** The record in one line, or `null`. */
export function parseFstabLine(line: string): FstabEntry | null {
  const trimmed = line.trim()
  if (trimmed === '' || trimmed.startsWith('#')) return null
  const [device, mountPoint, type, options] = trimmed.split(/[ \t]+/)
  if (device === undefined || mountPoint === undefined || type === undefined) return null
  return {
    device: unescapeOctal(device.replaceAll('"', '')),
    mountPoint: unescapeOctal(mountPoint),
    type,
    options: options === undefined ? [] : options.split(','),
  }
}

/** Spaces and tabs in a field are written as `\040` and `\011`. */
function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}

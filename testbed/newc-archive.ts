import type { GuestEntry } from './guest-tree.ts'

/** A cpio archive in the "newc" form the kernel takes as its initramfs (Documentation/driver-api/early-userspace). */
export function newcArchive(entries: readonly GuestEntry[]): Buffer {
  const records = entries.map((entry, index) => record(entry, index + 1))
  const trailer = header({ name: 'TRAILER!!!', inode: 0, mode: 0, content: Buffer.alloc(0) })
  return Buffer.concat([...records, trailer])
}

function record(entry: GuestEntry, inode: number): Buffer {
  const name = entry.path.replace(/^\//, '')
  switch (entry.kind) {
    case 'directory':
      return header({ name, inode, mode: 0o040_755, content: Buffer.alloc(0) })
    case 'link':
      return header({ name, inode, mode: 0o120_777, content: Buffer.from(entry.target) })
    case 'file':
      return header({
        name,
        inode,
        mode: 0o100_000 | (entry.mode ?? 0o644),
        content: Buffer.from(entry.content),
      })
  }
}

function header(file: { name: string; inode: number; mode: number; content: Buffer }): Buffer {
  const nameLength = Buffer.byteLength(file.name) + 1
  const fields = [file.inode, file.mode, 0, 0, 1, 0, file.content.length, 0, 0, 0, 0, nameLength, 0]
  const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${file.name}\0`
  return Buffer.concat([padded(Buffer.from(head)), padded(file.content)])
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}

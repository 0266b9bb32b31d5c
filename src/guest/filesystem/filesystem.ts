import type { AbortOptions } from '../../core/abort.ts'
import type { Disk } from '../../disk/disk.ts'

export type FileKind =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'character-device'
  | 'block-device'
  | 'fifo'
  | 'socket'

export type FilesystemType = 'ext2' | 'ext3' | 'ext4' | 'xfs' | 'btrfs' | 'f2fs' | 'vfat'

/** A part of a btrfs file system that is mounted by itself. */
export interface Subvolume {
  readonly id: number
  /** In the whole file system; `/` for the whole itself. */
  readonly path: string
  /** Whether it is the one that is mounted where no other is named. */
  readonly isDefault: boolean
}

export interface FileStat {
  readonly kind: FileKind
  /** Identifies the file within its file system; two paths with one inode are hard links. */
  readonly inode: number
  /** Bytes. */
  readonly size: number
  /** The twelve permission bits, set-user-id and sticky included. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly links: number
  /** Seconds since 1970. */
  readonly modified: number
}

export interface DirectoryEntry {
  /** Bytes that are not UTF-8 come as lone surrogates U+DC80..U+DCFF, so that every name survives a round trip. */
  readonly name: string
  readonly kind: FileKind
  readonly inode: number
}

export interface FileAttributes {
  mode: number
  uid: number
  gid: number
}

/**
 * A guest's file system, read and changed without mounting it and without running anything of the guest.
 *
 * Paths are absolute, inside the image. Symbolic links, absolute ones too, resolve inside the image, at most 40 in
 * a path; the last component is followed only where a method says so. Nothing here can reach a file of the host.
 *
 * Changes are collected and take effect together with `commit`; reading shows the state before them. Modification
 * times of changed files and directories stay as they are, so that the result depends on the input alone.
 */
export interface Filesystem {
  readonly type: FilesystemType
  readonly uuid: string
  readonly label: string
  /** Of btrfs: the whole first, whose paths these methods take, then every subvolume. */
  readonly subvolumes?: readonly Subvolume[]

  /** `null` when the path does not exist. Does not follow a link in the last component unless asked. */
  stat(path: string, options?: AbortOptions & { follow?: boolean }): Promise<FileStat | null>
  /** The entries of a directory (followed if `path` is a link), without `.` and `..`, sorted by name. */
  list(path: string, options?: AbortOptions): Promise<DirectoryEntry[]>
  /**
   * A file's content; follows links.
   * @throws GuestError `GUEST_FILE_TOO_LARGE` above `maximumBytes` (default 16 MiB)
   */
  read(path: string, options?: AbortOptions & { maximumBytes?: number }): Promise<Uint8Array>
  /** A file as a disk of exactly its bytes, read when they are asked for; follows links. Valid until the next commit. */
  open(path: string, options?: AbortOptions): Promise<Disk>
  readLink(path: string, options?: AbortOptions): Promise<string>
  /** The path with every link resolved, or `null` when it leads nowhere. */
  resolve(path: string, options?: AbortOptions): Promise<string | null>
  /** Bytes that are not in use, as the file system has counted them. */
  freeBytes(options?: AbortOptions): Promise<number>

  /** Removes a file, a link itself, or a directory with everything below it. */
  remove(path: string): void
  /** Makes a regular file empty; inode, owner, mode, times of creation and extended attributes stay. */
  truncate(path: string): void
  /**
   * Gives a regular file this content. An existing file keeps its inode, owner, mode and extended attributes; a new
   * one gets `attributes` (default 0644, root). Large content comes as a Disk with exactly its bytes, which is read at the
   * commit; only a new file may have it.
   */
  write(path: string, content: Uint8Array | Disk, attributes?: Partial<FileAttributes>): void
  /** Makes a directory with these `attributes` (default 0755, root); one that is there stays as it is. */
  makeDirectory(path: string, attributes?: Partial<FileAttributes>): void
  setMode(path: string, mode: number): void

  /**
   * Applies the collected changes, then checks the file system. On any failure nothing of them is kept.
   * @throws GuestError `FILESYSTEM_EDIT_FAILED` | `FILESYSTEM_DAMAGED`
   */
  commit(options?: AbortOptions): Promise<void>

  /**
   * The file system's bytes with the committed changes, and everything else as it is; names of removed files that lay in
   * the gaps of directories may be gone. Valid until `close`.
   */
  committed(): Disk

  /**
   * The file system's bytes with the committed changes, and with everything no file owns read as zeros: free blocks,
   * free inodes, names of removed entries, the slack behind the ends of files, the journal's old content.
   * Valid until `close`.
   */
  scrubbed(options?: AbortOptions): Promise<Disk>
  close(): Promise<void>
}

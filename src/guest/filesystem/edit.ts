import type { Disk } from '../../disk/disk.ts'
import type { FileAttributes } from './filesystem.ts'

/** A change as asked for, by path. */
export type Edit =
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'truncate'; readonly path: string }
  | {
      readonly kind: 'write'
      readonly path: string
      readonly content: Uint8Array | Disk
      readonly attributes: Partial<FileAttributes>
    }
  | {
      readonly kind: 'make-directory'
      readonly path: string
      readonly attributes: Partial<FileAttributes>
    }
  | { readonly kind: 'set-mode'; readonly path: string; readonly mode: number }

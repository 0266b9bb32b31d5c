import type { z } from 'zod'
import type { OutputFormat } from '../disk/write-disk.ts'
import type { CleaningRequest } from './cleaning-input.ts'
import type { imageRecordInput } from './image-record-input.ts'
import type { SourceProofMode } from './open-image-disk.ts'
import type { storageInput } from './storage-input.ts'
import type { FileInput } from './store-file.ts'

/** How and for whom an image is stored; everything has a default. */
export type StorageRequest = z.input<typeof storageInput>

/** How a disk-image file is written. The format is told by the extension when it is not given. */
export type FileRequest = Partial<Omit<FileInput, 'path' | 'format'>> & { format?: OutputFormat }

export interface CreateImageRequest {
  /** Cloud the image goes to; the instance's own when absent. */
  to?: string
  /** null: not at all. The default profile when absent. */
  clean?: CleaningRequest | null
  storage?: StorageRequest
  keepSnapshot?: boolean
  reuseSnapshot?: string
  sourceProof?: SourceProofMode
}

export interface MigrateImageRequest {
  /** null or absent: not at all. */
  clean?: CleaningRequest | null
  /** Visibility and members are those of the source when absent and `sync` is set, private otherwise. */
  storage?: StorageRequest
  /** Give the new image the id of its source. */
  sameId?: boolean
  /** Bring an image that was migrated before to the source's state; its data are copied only where they differ. */
  sync?: boolean
  sourceProof?: SourceProofMode
  /** Of an instance: keep the snapshot that is taken. */
  keepSnapshot?: boolean
}

export interface ExportRequest extends FileRequest {
  clean?: CleaningRequest | null
  /** Of a file that is an appliance: its number from 1, its id, or the name of its file. */
  disk?: string
  /** null or absent: as the disk is. */
  bootable?: BootableRequest | null
}

/** How a disk is made one that starts by itself; everything has a default. */
export interface BootableRequest {
  /** The machines it is for; both, or what an ordinary disk is laid out for already, when absent. */
  firmware?: 'bios' | 'uefi' | 'both'
  /** Where the image has none: files, or `CLOUD:IMAGE`. */
  kernel?: string
  ramdisk?: string
  /** Bytes the disk is to have, where one is made around a file system. */
  growTo?: number
  /** Has the files of GRUB; `/usr/lib/grub` when absent. */
  grubFolder?: string
}

export interface ConvertRequest extends FileRequest {
  inputFormat?: string
  allowBacking?: boolean
  /** Of an appliance: its number from 1, its id, or the name of its file. */
  disk?: string
  verify?: boolean
}

export interface CleanFileRequest extends FileRequest {
  clean?: CleaningRequest
  /** Another file instead of replacing the one that is cleaned; the rest says how it is written. */
  output?: string
}

export interface CleanStoredImageRequest {
  clean?: CleaningRequest
  /** By default the old name and " (clean)". */
  name?: string
  storage?: StorageRequest
}

export interface UploadRequest extends RecordRequest {
  inputFormat?: string
  allowBacking?: boolean
  /** Of an appliance: its number from 1, its id, or the name of its file. */
  disk?: string
  clean?: CleaningRequest | null
  storage?: StorageRequest
}

export interface UploadStreamRequest extends RecordRequest {
  /** Bytes the stream will have, where that is known. */
  size?: number
  storage?: StorageRequest
}

/** What is said of an uploaded image beside its data; everything has a default. */
export type RecordRequest = z.input<typeof imageRecordInput>

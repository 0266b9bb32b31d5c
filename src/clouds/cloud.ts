import type { AbortOptions } from '../core/abort.ts'
import type { ByteSink, SeekableSink } from '../transfer/byte-sink.ts'
import type { ByteSource } from '../transfer/byte-source.ts'

/**
 * What Imagewright asks of a cloud. An adapter is a translation: it holds no policy, retries only what is safe to
 * repeat, and says with `capabilities` what it cannot do, so that an operation never asks which cloud it talks to.
 *
 * How the calls map:
 *
 * | here | Glance + Nova | EC2 (AWS, Eucalyptus) | Nimbus | ProtoGENI |
 * |---|---|---|---|---|
 * | images.create | POST /images | StartSnapshot (ClientToken = key) | nothing yet | - |
 * | images.upload | PUT file | PutSnapshotBlock, RegisterImage; bundle upload | Cumulus PUT, size known | - |
 * | images.open | GET file, by range | GetSnapshotBlock; bundle parts | Cumulus GET | image URL |
 * | instances.snapshot | createImage | CreateImage, BundleInstance | WSRF shutdown-save | CreateImage |
 * | images.share | members | launchPermission | ACL | credential |
 */
export interface Cloud {
  /** The name it is configured under; the part before the colon in `CLOUD:IMAGE`. */
  readonly name: string
  readonly type: string
  readonly capabilities: CloudCapabilities
  readonly images: ImageService
  readonly instances: InstanceService
  /** Signs in and says what this account can do, row by row. Never throws for a row that is refused. */
  check(options?: AbortOptions): Promise<CloudCheck[]>
  close(): Promise<void>
}

/** What a cloud can do, as data. */
export interface CloudCapabilities {
  readonly images: {
    /** Container formats it stores, the preferred one first: `qcow2`, `raw`, `vmdk`, ... */
    readonly formats: readonly string[]
    /** Whether `upload` gives a sink that takes ranges in any order. */
    readonly seekableUpload: boolean
    /** Whether `open` gives a source that reads ranges. */
    readonly rangeDownload: boolean
    readonly visibilities: readonly Visibility[]
    /** Sharing with a member: at once, only after the member accepts, or not at all. */
    readonly sharing: 'immediate' | 'accepted' | 'none'
    /** Digests of the stored bytes that the cloud itself computes. */
    readonly checksums: readonly DigestAlgorithm[]
    /**
     * Whether `upload` itself compares what it sent with the checksums and the size the cloud then reports, and fails on a
     * difference: an image with a checksum is then proved without being read back.
     */
    readonly checksUploads: boolean
    /**
     * Whether it compares the format of an image with what the beginning shows, so that a format that shows itself only at
     * the end is taken for raw.
     */
    readonly inspectsBeginning: boolean
    /** Whether the id of a new image can be chosen. */
    readonly chosenIds: boolean
  }
  readonly instances: {
    readonly launch: boolean
    /** States of an instance in which it can be captured. */
    readonly snapshotStates: readonly InstanceStatus[]
    /**
     * What a snapshot does to a running instance: nothing it would notice, a restart (ProtoGENI, EC2 unless asked not
     * to), or its end (Nimbus saves an instance by shutting it down for good). An operation asks before the last.
     */
    readonly snapshotInterruption: 'none' | 'restart' | 'ends-instance'
    /** Whether an instance can be stopped and started again. */
    readonly stopStart: boolean
    /** Whether file systems can be frozen while the snapshot is taken. */
    readonly quiesce: boolean
    readonly console: boolean
  }
}

export interface CloudCheck {
  readonly capability: string
  readonly allowed: boolean
  /** Why not, or a detail worth knowing. */
  readonly detail?: string
}

export type Visibility = 'private' | 'shared' | 'community' | 'public'
export type DigestAlgorithm = 'md5' | 'sha1' | 'sha256' | 'sha512'

/** `pending`: recorded, without complete data. `error` is final. */
export type ImageStatus = 'pending' | 'active' | 'deactivated' | 'error'

export type CloudImage = {
  readonly id: string
  readonly name: string
  readonly status: ImageStatus
  /** Container format of the stored bytes, or null while unknown. */
  readonly format: string | null
  /** How the format is wrapped, in the cloud's own word; null where it knows no such thing. */
  readonly container: string | null
  /** Stored bytes; null while pending. */
  readonly size: number | null
  /** Bytes of the guest's disk, where the cloud knows. */
  readonly virtualSize: number | null
  readonly visibility: Visibility
  readonly owner: string | null
  /** ISO 8601. */
  readonly createdAt: string
  readonly updatedAt: string
  /** Hexadecimal digests of the stored bytes, as far as the cloud computes them. */
  readonly checksums: Readonly<Partial<Record<DigestAlgorithm, string>>>
  /** GiB. */
  readonly minDisk: number
  /** MiB. */
  readonly minRam: number
  readonly protected: boolean
  /** Left out of lists that do not ask for it, and usable all the same. */
  readonly hidden: boolean
  readonly tags: readonly string[]
  readonly properties: Readonly<Record<string, string>>
}

export interface ImageFilter {
  name?: string
  status?: ImageStatus
  visibility?: Visibility
  owner?: string
  tag?: string
  /** Every one must be equal. */
  properties?: Readonly<Record<string, string>>
  /** What others offer this account, by its own answer to the offer. */
  memberStatus?: ImageMember['status']
  /** True: the hidden ones only. Otherwise: those that are not hidden. */
  hidden?: boolean
}

export interface NewImage {
  /** The id it is to have, where the cloud lets one choose. */
  id?: string
  name: string
  format: string
  /** How the format is wrapped, in the cloud's own word (Glance: `bare`, `ami`, `ova`, ...); its usual one when absent. */
  container?: string
  /** Bytes of the guest's disk, where known. */
  virtualSize?: number
  minDisk?: number
  minRam?: number
  protected?: boolean
  hidden?: boolean
  tags?: readonly string[]
  properties?: Readonly<Record<string, string>>
}

/** Changes to an image; what is absent stays. A property set to null is removed. */
export type ImageChanges = {
  name?: string
  visibility?: Visibility
  minDisk?: number
  minRam?: number
  protected?: boolean
  hidden?: boolean
  tags?: readonly string[]
  properties?: Readonly<Record<string, string | null>>
}

export type ImageMember = {
  readonly member: string
  readonly status: 'pending' | 'accepted' | 'rejected'
}

export interface CreateOptions extends AbortOptions {
  /**
   * Written down by the caller before the call. A repeated call with the same key gives the thing the first one made
   * instead of a second one.
   */
  key: string
}

export interface UploadOptions extends AbortOptions {
  /**
   * Stored bytes, where they are known before the first is written. Glance checks the number; an object store without
   * multipart uploads needs it, and an adapter to one refuses an upload without it.
   */
  size?: number
}

export interface ImageService {
  /** Pages are fetched as the caller consumes. */
  list(filter?: ImageFilter, options?: AbortOptions): AsyncIterable<CloudImage>
  /** @throws CloudError `IMAGE_NOT_FOUND` */
  get(id: string, options?: AbortOptions): Promise<CloudImage>
  /**
   * The stored bytes; a RandomAccessSource where `capabilities.images.rangeDownload` says so and the image's own storage
   * does not refuse.
   * @throws CloudError `IMAGE_HAS_NO_DATA` while it is pending | `IMAGE_STATE` when it is deactivated
   */
  open(id: string, options?: AbortOptions): Promise<ByteSource>
  /**
   * Records a new image: private, `pending`, without data.
   * @throws CloudError `CLOUD_CONFLICT` when another image has, or had, the id that was asked for
   */
  create(image: NewImage, options: CreateOptions): Promise<CloudImage>
  /** The image made with this key, if any: how a re-run finds what a killed run made. */
  findByKey(key: string, options?: AbortOptions): Promise<CloudImage | null>
  /**
   * Gives the image its data: calls `write` with the sink, and returns when the cloud holds everything and the image
   * is `active`. The checksums of the image it gives are those of the bytes that `write` wrote, as far as
   * `capabilities.images.checksums` names them. If `write` throws, the image is `pending` without data again, or gone.
   * @throws CloudError `IMAGE_STATE` when it has data | `IMAGE_CORRUPT` when the cloud stored something else
   */
  upload(
    id: string,
    write: (sink: ByteSink | SeekableSink) => Promise<void>,
    options?: UploadOptions,
  ): Promise<CloudImage>
  update(id: string, changes: ImageChanges, options?: AbortOptions): Promise<CloudImage>
  members(id: string, options?: AbortOptions): Promise<ImageMember[]>
  share(id: string, member: string, options?: AbortOptions): Promise<ImageMember>
  unshare(id: string, member: string, options?: AbortOptions): Promise<void>
  /**
   * Answers an offer of an image as the member that this account is.
   * @throws CloudError `CLOUD_UNSUPPORTED` where sharing needs no answer | `IMAGE_NOT_FOUND` when nothing was offered
   */
  accept(id: string, options?: AbortOptions): Promise<ImageMember>
  /**
   * Forbids reading the data to everybody but administrators; `reactivate` allows it again.
   * @throws CloudError `IMAGE_STATE` when it has no data
   */
  deactivate(id: string, options?: AbortOptions): Promise<CloudImage>
  reactivate(id: string, options?: AbortOptions): Promise<CloudImage>
  /** @throws CloudError `IMAGE_NOT_FOUND` | `IMAGE_PROTECTED` | `IMAGE_IN_USE` */
  delete(id: string, options?: AbortOptions): Promise<void>
}

export type InstanceStatus = 'building' | 'running' | 'paused' | 'suspended' | 'stopped' | 'shelved' | 'error'

export interface CloudInstance {
  readonly id: string
  readonly name: string
  readonly status: InstanceStatus
  /** Image it was started from, as far as the cloud knows; it may have been deleted since. */
  readonly imageId: string | null
  readonly createdAt: string
  /** Why it is in `error`, in the cloud's words. */
  readonly fault: string | null
  readonly properties: Readonly<Record<string, string>>
}

export interface NewInstance {
  name: string
  imageId: string
  /** The cloud's own name for a size, or what is needed. */
  flavor?: string
  cpus?: number
  /** MiB. */
  memory?: number
  /** GiB; at least the image's virtual size. */
  diskSize?: number
  /** Public keys in OpenSSH form, for the image's first user. */
  sshKeys?: readonly string[]
  /** The first user's name, where the cloud can choose it. */
  user?: string
  /** Passed on to the guest untouched. Replaces what `sshKeys` and `user` would have made. */
  userData?: string
  /** The cloud's own name or id of a network; `none` for none, where a cloud allows that. */
  network?: string
  /** Name of a key pair that the cloud keeps for this account. */
  keyName?: string
  /** Names or ids of security groups. */
  securityGroups?: readonly string[]
  /** Its disk is a new volume of `diskSize`, of this type or the cloud's usual one, deleted together with it. */
  volume?: { readonly type?: string }
  /** False: only its disk is made, and it is `stopped`. Clouds without `stopStart` refuse that. Default true. */
  start?: boolean
}

export interface InstanceAddress {
  readonly host: string
  readonly port: number
}

export interface Snapshot {
  readonly image: CloudImage
  /** Whether file systems were frozen while it was taken; null when the cloud tried and does not say how it went. */
  readonly quiesced: boolean | null
  /**
   * The image is the one a shelved instance will be started from again: to be read, never changed or deleted. Nothing
   * was made with the key.
   */
  readonly borrowed: boolean
}

export interface InstanceService {
  list(options?: AbortOptions): AsyncIterable<CloudInstance>
  /** @throws CloudError `INSTANCE_NOT_FOUND` */
  get(id: string, options?: AbortOptions): Promise<CloudInstance>
  launch(instance: NewInstance, options: CreateOptions): Promise<CloudInstance>
  findByKey(key: string, options?: AbortOptions): Promise<CloudInstance | null>
  start(id: string, options?: AbortOptions): Promise<CloudInstance>
  /** Asks the guest to shut down and waits; cuts the power at the deadline (milliseconds; the cloud's own otherwise). */
  stop(id: string, options?: AbortOptions & { deadline?: number }): Promise<CloudInstance>
  /**
   * The cloud's own image of the instance's disk, taken without stopping it, frozen where the guest allows.
   * Private; returns when it is `active`; leaves no image behind when it fails.
   * @throws CloudError `INSTANCE_STATE` when its state does not allow a snapshot
   */
  snapshot(
    id: string,
    snapshot: { name: string; properties?: Readonly<Record<string, string>> },
    options: CreateOptions,
  ): Promise<Snapshot>
  /**
   * Removes what an interrupted `snapshot` with this key has left beside its image: volumes, snapshots of volumes,
   * records. What is gone already is no error.
   */
  releaseSnapshot(key: string, options?: AbortOptions): Promise<void>
  /** Where SSH answers; null while there is none. */
  address(id: string, options?: AbortOptions): Promise<InstanceAddress | null>
  /** The last bytes of the serial console, as text. */
  console(id: string, options?: AbortOptions & { maximumBytes?: number }): Promise<string>
  /** Ends the instance and deletes its disk. One that does not exist is no error: a clean-up may run twice. */
  terminate(id: string, options?: AbortOptions): Promise<void>
}

import type { AbortOptions } from '../../core/abort.ts'
import type { Cloud } from '../cloud.ts'
import { imageRecordSchema, localFormats } from './image-record.ts'
import { instanceRecordSchema } from './instance-record.ts'
import { checkLocalCloud } from './local-check.ts'
import { openLocalFolder } from './local-folder.ts'
import { localImages } from './local-images.ts'
import { localInstances } from './local-instances.ts'
import { sweepScratch } from './scratch.ts'
import { thawAbandoned } from './thaw-abandoned.ts'
import { openThingStore } from './thing-store.ts'

export interface OpenLocalCloudOptions extends AbortOptions {
  /** The name it is configured under. */
  name: string
  /** Made when it is missing, for its owner only. */
  folder: string
  /** The program that runs instances; `qemu-system-x86_64` when absent. */
  hypervisor?: string
}

/**
 * The embedded cloud: a folder that behaves like one, with QEMU machines as instances. Any number of processes may
 * have it open at once.
 * @throws CloudError `LOCAL_FOLDER_UNUSABLE`
 */
export async function openLocalCloud(options: OpenLocalCloudOptions): Promise<Cloud> {
  const { name, hypervisor = 'qemu-system-x86_64' } = options
  const folder = await openLocalFolder(options.folder)
  await sweepScratch(folder)
  const stores = {
    folder,
    images: openThingStore(folder, { kind: 'image', schema: imageRecordSchema }),
    instances: openThingStore(folder, { kind: 'instance', schema: instanceRecordSchema }),
  }
  await thawAbandoned(stores)
  return {
    name,
    type: 'local',
    capabilities: {
      images: {
        formats: localFormats,
        seekableUpload: true,
        rangeDownload: true,
        visibilities: ['private', 'shared', 'public'],
        sharing: 'immediate',
        checksums: ['sha256'],
        // Computed from the file after it was written, so nothing is said about what was sent.
        checksUploads: false,
        inspectsBeginning: false,
        chosenIds: true,
      },
      instances: {
        launch: true,
        snapshotStates: ['running', 'paused', 'stopped', 'error'],
        snapshotInterruption: 'none',
        stopStart: true,
        quiesce: true,
        console: true,
      },
    },
    images: localImages(stores),
    instances: localInstances(stores, { hypervisor }),
    check: (checkOptions = {}) => checkLocalCloud(folder, { hypervisor, signal: checkOptions.signal }),
    async close() {
      // Nothing is held between calls.
    },
  }
}

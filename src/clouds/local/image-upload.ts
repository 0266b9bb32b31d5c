import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { isOpaque } from '../../disk/opaque-format.ts'
import { openContainer } from '../../disk/open-container.ts'
import type { SeekableSink } from '../../transfer/byte-sink.ts'
import { digestSource } from '../../transfer/digest-source.ts'
import { createFileSink } from '../../transfer/file-sink.ts'
import { openFileSource } from '../../transfer/file-source.ts'
import { useSink } from '../../transfer/use-sink.ts'
import type { UploadOptions } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import type { ImageRecord } from './image-record.ts'
import { dataPath, found, type LocalStores } from './local-images.ts'
import { syncFolder } from './record-file.ts'
import { withScratch } from './scratch.ts'

/**
 * Takes the data of a pending image: written to scratch, checked and digested there, and moved into place when the
 * record becomes active. Of several uploads to one image the first to finish wins.
 *
 * The checks are made here although whoever uploads makes them too: QEMU opens these files later, and nobody knows
 * what wrote them.
 */
export async function uploadImage(
  stores: LocalStores,
  id: string,
  write: (sink: SeekableSink) => Promise<void>,
  options: UploadOptions & { record?: Partial<ImageRecord> } = {},
): Promise<ImageRecord> {
  const { signal, size, record: additions } = options
  const { format } = pending(found(await stores.images.find(id), id))
  return withScratch(stores.folder, async (scratch) => {
    const path = join(scratch, 'data')
    await useSink(await createFileSink(path, { mode: 0o600, signal }), write, { signal })
    const facts = await examine(path, { format, size, signal })
    const record = await stores.images.change(
      id,
      async (record) => {
        pending(record)
        await rename(path, dataPath(stores, id))
        await syncFolder(stores.images.pathOf(id))
        return { ...record, ...facts, ...additions, status: 'active', updatedAt: new Date().toISOString() }
      },
      { signal },
    )
    return found(record, id)
  })
}

/** Read back from the file, so that the digest is of what is stored and not of what was handed over. */
async function examine(
  path: string,
  { format, size, signal }: { format: string; size: number | undefined; signal: AbortSignal | undefined },
): Promise<Pick<ImageRecord, 'size' | 'virtualSize' | 'sha256'>> {
  const source = await openFileSource(path, { signal })
  await using checked = await openContainer(source, { format }, { signal })
  if (size !== undefined && size !== source.size) {
    throw new CloudError('IMAGE_STATE', `${size} bytes were announced, but ${source.size} arrived.`)
  }
  const digests = await digestSource(source, ['sha256'], { signal })
  return {
    size: source.size,
    virtualSize: isOpaque(format) ? null : checked.disk.size,
    sha256: digests.sha256 ?? null,
  }
}

function pending(record: ImageRecord): ImageRecord {
  if (record.status === 'pending') return record
  throw new CloudError('IMAGE_STATE', `Image "${record.name}" (${record.id}) has its data already.`, {
    hint: 'The data of an image never changes: create a new image.',
  })
}

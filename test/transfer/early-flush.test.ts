import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { MiB } from '../../src/core/bytes.ts'
import { earlyFlush } from '../../src/transfer/early-flush.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

describe('earlyFlush', () => {
  it('flushes every 256 MiB, one flush at a time', async () => {
    const { file, datasync } = await watchedFile()
    const flush = earlyFlush(file)
    for (let i = 0; i < 255; i += 1) flush.wrote(MiB)
    expect(datasync).not.toHaveBeenCalled()
    flush.wrote(MiB)
    flush.wrote(256 * MiB)
    expect(datasync).toHaveBeenCalledTimes(1)
    await flush.settled()
    flush.wrote(MiB)
    expect(datasync).toHaveBeenCalledTimes(2)
    await flush.settled()
    await file.close()
  })

  it('keeps a failure for the end, since the system reports it only once', async () => {
    const { file, datasync } = await watchedFile()
    datasync.mockRejectedValueOnce(new Error('bad disk'))
    const flush = earlyFlush(file)
    flush.wrote(256 * MiB)
    await expect(flush.settled()).rejects.toThrow('bad disk')
    flush.wrote(256 * MiB)
    await expect(flush.settled()).rejects.toThrow('bad disk')
    await file.close()
  })
})

async function watchedFile() {
  const file = await open(join(await temporaryFolder(), 'file'), 'w')
  return { file, datasync: vi.spyOn(file, 'datasync') }
}

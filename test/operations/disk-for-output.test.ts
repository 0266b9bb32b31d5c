import { describe, expect, it } from 'vitest'
import type { JobEvent } from '../../src/core/events.ts'
import { memoryDisk } from '../../src/disk/memory-disk.ts'
import { diskForOutput } from '../../src/operations/disk-for-output.ts'

const mebibyte = 1024 * 1024

describe('diskForOutput', () => {
  it('fills a disk up for a fixed VHD, and says so', () => {
    const events: JobEvent[] = []
    const context = { emit: (event: JobEvent) => events.push(event) }
    const disk = diskForOutput(context, memoryDisk(Buffer.alloc(512)), { format: 'vhd', subformat: 'fixed' })
    expect(disk.size).toBe(mebibyte)
    expect(events).toEqual([
      expect.objectContaining({ code: 'DISK_FILLED_UP', message: expect.stringContaining('1048576') }),
    ])
  })

  it('says nothing where the size is right already', () => {
    const context = {
      emit: () => {
        throw new Error('a warning')
      },
    }
    for (const container of [
      { format: 'vhd' },
      { format: 'qcow2' },
      { format: 'raw' },
      { format: 'vdi' },
    ] as const) {
      expect(diskForOutput(context, memoryDisk(Buffer.alloc(512)), container).size).toBe(512)
    }
    const whole = memoryDisk(Buffer.alloc(mebibyte))
    expect(diskForOutput(context, whole, { format: 'vhd', subformat: 'fixed' })).toBe(whole)
  })
})

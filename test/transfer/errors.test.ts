import { describe, expect, it } from 'vitest'
import { CoreError } from '../../src/core/errors.ts'
import { outputError, sourceError, TransferError } from '../../src/transfer/errors.ts'

describe('system errors', () => {
  it.each([
    ['ENOENT', 'SOURCE_NOT_FOUND'],
    ['EACCES', 'SOURCE_NO_PERMISSION'],
    ['ENXIO', 'SOURCE_NOT_A_FILE'],
    ['EIO', 'SOURCE_UNREADABLE'],
  ])('%s of a source is %s', (code, expected) => {
    expect(sourceError(systemError(code), 'disk.raw')).toMatchObject({
      code: expected,
      message: expect.stringContaining('disk.raw'),
      cause: { code },
    })
  })

  it.each([
    ['EEXIST', 'OUTPUT_EXISTS'],
    ['ENOENT', 'OUTPUT_FOLDER_MISSING'],
    ['EROFS', 'OUTPUT_NO_PERMISSION'],
    ['ENOSPC', 'OUTPUT_NO_SPACE'],
    ['EDQUOT', 'OUTPUT_NO_SPACE'],
    ['EFBIG', 'OUTPUT_TOO_LARGE'],
    ['EPIPE', 'OUTPUT_CLOSED'],
    ['EIO', 'OUTPUT_FAILED'],
  ])('%s of an output is %s', (code, expected) => {
    expect(outputError(systemError(code), 'disk.raw')).toMatchObject({
      code: expected,
      message: expect.stringContaining('disk.raw'),
      cause: { code },
    })
  })

  it('are told from mistakes and from errors that have a code of ours', () => {
    const ours = [
      new TypeError('mistake'),
      new CoreError('CANCELLED', 'Cancelled.'),
      new TransferError('OUTPUT_CLOSED', ''),
    ]
    for (const error of ours) {
      expect(outputError(error, 'x')).toBe(error)
      expect(sourceError(error, 'x')).toBe(error)
    }
  })
})

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: it failed`), { code })
}

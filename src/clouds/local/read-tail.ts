import { open } from 'node:fs/promises'
import { systemErrorCode } from '../../transfer/errors.ts'

/** The last bytes of a text file; nothing when there is no such file. */
export async function readTail(path: string, maximumBytes: number): Promise<string> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    const start = Math.max(0, size - maximumBytes)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start)
    return buffer.toString('utf8', 0, bytesRead)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return ''
    throw error
  }
}

/** Run with a small file system as the working folder: writes more than fits and prints how that ended. */
import { readdir } from 'node:fs/promises'
import { TransferError } from '../../../src/transfer/errors.ts'
import { createFileSink } from '../../../src/transfer/file-sink.ts'
import { useSink } from '../../../src/transfer/use-sink.ts'

const sink = await createFileSink('image.raw')
const chunk = Buffer.alloc(64 * 1024, 1)
const code = await useSink(sink, async () => {
  for (let i = 0; i < 1000; i += 1) await sink.write(chunk)
}).catch((error: unknown) => (error instanceof TransferError ? error.code : error))
process.stdout.write(JSON.stringify({ code, left: await readdir('.') }))

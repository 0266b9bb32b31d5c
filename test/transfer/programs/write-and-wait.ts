/** Writes half of an image to the path given, prints where, and waits to be killed. */
import { createFileSink } from '../../../src/transfer/file-sink.ts'

const sink = await createFileSink(process.argv[2] ?? '')
await sink.write(Buffer.alloc(1024 * 1024, 1))
process.stdout.write(sink.temporaryPath)
setInterval(() => undefined, 1000)

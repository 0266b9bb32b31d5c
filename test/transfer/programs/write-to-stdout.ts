/** Writes the number of MiB given to standard output through a sink, and says on standard error how that ended. */
import { createStreamSink } from '../../../src/transfer/stream-sink.ts'
import { useSink } from '../../../src/transfer/use-sink.ts'

const chunk = Buffer.alloc(1024 * 1024, 'x')
const outcome = await useSink(createStreamSink(process.stdout, 'standard output'), async (sink) => {
  for (let i = 0; i < Number(process.argv[2]); i += 1) await sink.write(chunk)
  return 'done'
}).catch((error: unknown) => (error instanceof Error && 'code' in error ? error.code : error))
process.stderr.write(`${outcome}`)

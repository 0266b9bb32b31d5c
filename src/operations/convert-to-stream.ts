import { basename } from 'node:path'
import type { Writable } from 'node:stream'
import type { AbortOptions } from '../core/abort.ts'
import { writeDisk } from '../disk/write-disk.ts'
import { createStreamSink } from '../transfer/stream-sink.ts'
import { checkWriteOptions } from './check-write-options.ts'
import { openDiskFile } from './convert-image.ts'
import { describeAppliance, isAppliance } from './describe-appliance.ts'
import { OperationError } from './errors.ts'
import { beginPass, proveSource } from './prove-source.ts'
import type { ConvertRequest } from './requests.ts'

/**
 * Writes the disk of an image file into a stream.
 * @throws OperationError `FORMAT_UNKNOWN` without a format, since a stream has no name to tell it by
 */
export async function convertToStream({
  path,
  output,
  signal,
  format,
  subformat,
  inputFormat,
  allowBacking = false,
  disk,
  compression,
  level,
  clusterSize,
  machine,
}: ConvertRequest & AbortOptions & { path: string; output: Writable }): Promise<void> {
  if (!format) {
    throw new OperationError('FORMAT_UNKNOWN', 'A stream has no name that says which format to write.', {
      hint: 'Give --format.',
    })
  }
  checkWriteOptions({ format, subformat, compression, clusterSize, machine })
  // Made first: whoever reads at the other end learns in any case when nothing more is coming.
  const sink = createStreamSink(output, 'stdout')
  try {
    await using source = await openDiskFile(
      { path, allowBacking, ...(inputFormat ? { format: inputFormat } : {}), ...(disk ? { disk } : {}) },
      { signal },
    )
    const appliance = isAppliance(format)
      ? await describeAppliance(source.disk, {
          path,
          wishes: machine ?? {},
          source: source.appliance ?? null,
          provenance: [`Made by Imagewright from ${basename(path)}.`],
          signal,
        })
      : null
    beginPass(source, { signal })
    await writeDisk(source.disk, sink, {
      format,
      ...(subformat ? { subformat } : {}),
      ...(compression ? { compression } : {}),
      ...(level === undefined ? {} : { level }),
      ...(clusterSize === undefined ? {} : { clusterSize }),
      ...(appliance ? { appliance } : {}),
      signal,
    })
    await proveSource(source, { signal })
    await sink.finish({ signal })
  } catch (error) {
    await sink.abort()
    throw error
  }
}

import { type AbortOptions, throwIfCancelled } from '../core/abort.ts'
import { MiB } from '../core/bytes.ts'
import type { Change } from '../transfer/redo-log.ts'
import { isZero } from '../transfer/zeros.ts'
import type { Disk, Extent } from './disk.ts'
import { noRuns } from './overlay-ranges.ts'

const granule = 4096
const pieceSize = MiB

/** Runs this near to each other are read together: the ends of a hundred thousand files are as many runs. */
const maximumGap = 32 * 1024

/**
 * Where a view differs from the disk it is a view of, in order. Cost follows the view's changes: beside them only small gaps
 * between them are read, and zeros over zeros are no difference. `data` is valid until the next one is asked for.
 */
export async function* differences(
  view: Disk,
  base: Disk,
  options: AbortOptions = {},
): AsyncGenerator<Change, void, undefined> {
  const data = Buffer.allocUnsafe(pieceSize)
  const before = Buffer.allocUnsafe(pieceSize)
  const runs = withinData(view.changes?.(options) ?? noRuns(), base.extents(options))
  for await (const { offset: start, length: span, pieces } of batches(runs)) {
    throwIfCancelled(options.signal)
    await base.read(before.subarray(0, span), start, options)
    for (const { offset, length, kind } of pieces) {
      const from = offset - start
      if (kind === 'zero') {
        if (!isZero(before, from, from + length)) yield { offset, length, data: null }
        continue
      }
      await view.read(data.subarray(0, length), offset, options)
      yield* compare(data.subarray(0, length), before.subarray(from, from + length), offset)
    }
  }
}

interface Batch {
  readonly offset: number
  length: number
  readonly pieces: Extent[]
}

/** Pieces of the runs that are read together, each batch at most `pieceSize` from end to end. */
async function* batches(runs: AsyncIterable<Extent>): AsyncGenerator<Batch, void, undefined> {
  let batch: Batch | null = null
  for await (const run of runs) {
    for (let offset = run.offset, end = run.offset + run.length; offset < end; offset += pieceSize) {
      const piece = { offset, length: Math.min(pieceSize, end - offset), kind: run.kind }
      const isNear =
        batch !== null &&
        offset - (batch.offset + batch.length) <= maximumGap &&
        offset + piece.length - batch.offset <= pieceSize
      if (batch !== null && isNear) {
        batch.length = offset + piece.length - batch.offset
        batch.pieces.push(piece)
      } else {
        if (batch !== null) yield batch
        batch = { offset, length: piece.length, pieces: [piece] }
      }
    }
  }
  if (batch !== null) yield batch
}

/** The changes with zeros cut down to where the base has data; both are in order. */
async function* withinData(
  changes: AsyncIterable<Extent>,
  extents: AsyncIterable<Extent>,
): AsyncGenerator<Extent, void, undefined> {
  const base = extents[Symbol.asyncIterator]()
  let current = await base.next()
  try {
    for await (const change of changes) {
      if (change.kind === 'data') {
        yield change
        continue
      }
      const end = change.offset + change.length
      while (!current.done) {
        const extent = current.value
        const from = Math.max(change.offset, extent.offset)
        const to = Math.min(end, extent.offset + extent.length)
        if (extent.kind === 'data' && to > from) yield { offset: from, length: to - from, kind: 'zero' }
        if (extent.offset + extent.length > end) break
        current = await base.next()
      }
    }
  } finally {
    await base.return?.()
  }
}

function* compare(data: Buffer, before: Buffer, offset: number): Generator<Change, void, undefined> {
  let start = -1
  for (let from = 0; from < data.length; from += granule) {
    const to = Math.min(from + granule, data.length)
    const isSame = data.compare(before, from, to, from, to) === 0
    if (!isSame && start < 0) start = from
    if (isSame && start >= 0) {
      yield { offset: offset + start, length: from - start, data: data.subarray(start, from) }
      start = -1
    }
  }
  if (start >= 0) yield { offset: offset + start, length: data.length - start, data: data.subarray(start) }
}

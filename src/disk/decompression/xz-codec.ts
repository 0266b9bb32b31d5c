import { availableParallelism } from 'node:os'
import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { KiB, MiB, roundUp } from '../../core/bytes.ts'
import { abortable } from '../../transfer/abortable.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { windowSource } from '../../transfer/window-source.ts'
import { DiskError } from '../errors.ts'
import type { Codec, DecodeOptions } from './codec.ts'
import { cutShort, damaged } from './damaged.ts'
import { sourcePieces } from './source-pieces.ts'
import { readXzBlocks, type XzBlock } from './xz-index.ts'
import { dictionaryOf, encodeStreamEnd, encodeStreamHeader } from './xz-layout.ts'
import { startXzThread, type XzRun, type XzThread } from './xz-thread.ts'

/** More threads would take more memory than they are worth. */
const maximumThreads = 4
/** What the decompressor takes; `xz -9` needs it. */
const maximumDictionary = 64 * MiB
/** For dictionaries and for what is decompressed ahead, in all threads together. */
const memoryBudget = 32 * MiB

/**
 * xz: one stream or many, each block with its check compared, and each of them a restart point. The file's own index tells
 * the blocks, and each is decompressed as a file of its own, several at a time where a file has several and their
 * dictionaries are small. Memory is 32 MiB, or the dictionary of one
 * block where that is more (64 MiB for `xz -9`), and 20 MiB a thread.
 */
export const xzCodec: Codec = {
  wrapping: 'xz',
  async *decode(source, { from, signal, onRestartPoint, onProgress }: DecodeOptions = {}) {
    const blocks = await readXzBlocks(source, { signal })
    const first = blocks.findIndex(({ plainOffset }) => plainOffset >= (from?.plain ?? 0))
    const crew = openCrew(source, { signal })
    const running: { block: XzBlock; run: XzRun; thread: XzThread }[] = []
    try {
      let next = Math.max(0, first)
      for (;;) {
        while (next < blocks.length) {
          const block = blocks[next]
          const begun = block && (await crew.begin(block))
          if (!begun) break
          running.push({ block, ...begun })
          next += 1
        }
        const [front] = running
        if (!front) return
        const { block, run, thread } = front
        onRestartPoint?.({ compressed: block.offset, plain: block.plainOffset })
        let left = block.plainSize
        for (;;) {
          const chunk = await abortable(run.next(), signal)
          if (!chunk) break
          left -= chunk.length
          if (left < 0) break
          yield chunk
        }
        if (left !== 0) throw damaged('xz', 'has a block of another length than its index says', block.offset)
        await run.close()
        running.shift()
        crew.release(thread, block)
        onProgress?.(block.offset + block.unpaddedSize)
      }
    } finally {
      await crew.close()
      await Promise.all(running.map(({ run }) => run.close()))
    }
  },
}

interface Crew {
  /** Begins a block, or gives null when no thread or too little memory is left. */
  begin(block: XzBlock): Promise<{ run: XzRun; thread: XzThread } | null>
  release(thread: XzThread, block: XzBlock): void
  close(): Promise<void>
}

function openCrew(source: RandomAccessSource, { signal }: AbortOptions): Crew {
  const threads = new Set<XzThread>()
  const idle: XzThread[] = []
  const dictionaries = new Map<XzBlock, number>()
  const limit = Math.min(availableParallelism(), maximumThreads)

  return {
    async begin(block) {
      if (dictionaries.size >= limit) return null
      const dictionary = await readDictionary(source, block, { signal })
      const taken = [...dictionaries.values()].reduce((sum, bytes) => sum + bytes, 0)
      if (taken > 0 && taken + dictionary > maximumDictionary) return null
      dictionaries.set(block, dictionary)
      const thread = idle.pop() ?? startXzThread()
      threads.add(thread)
      // The first block is taken as it comes; the others wait for it.
      const ahead = Math.max(MiB, (memoryBudget - limit * dictionary) / Math.max(1, limit - 1))
      return { thread, run: thread.decompress(asFile(source, block, { signal }), ahead) }
    },

    release(thread, block) {
      dictionaries.delete(block)
      idle.push(thread)
    },

    async close() {
      await Promise.all([...threads].map((thread) => thread.close()))
    },
  }
}

async function readDictionary(
  source: RandomAccessSource,
  block: XzBlock,
  { signal }: AbortOptions,
): Promise<number> {
  throwIfCancelled(signal)
  const header = Buffer.alloc(Math.min(KiB, block.unpaddedSize))
  if ((await source.read(header, block.offset, { signal })) < header.length)
    throw cutShort('xz', block.offset)
  const dictionary = dictionaryOf(header)
  const problem =
    dictionary === null
      ? 'is damaged, or uses filters for programs'
      : dictionary > maximumDictionary
        ? 'needs more than 64 MiB of memory'
        : null
  if (problem !== null) {
    throw new DiskError('IMAGE_UNKNOWN_FEATURE', `A block of the xz stream ${problem}.`, {
      hint: 'Compress it again with one of the presets -0 to -9.',
      details: { offset: block.offset },
    })
  }
  return dictionary ?? 0
}

/** A block as the only one of a file, so that it is checked against its check and its sizes on its own. */
async function* asFile(
  source: RandomAccessSource,
  block: XzBlock,
  options: AbortOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const length = roundUp(block.unpaddedSize, 4)
  yield encodeStreamHeader(block.check)
  yield* sourcePieces(windowSource(source, { name: source.name, offset: block.offset, length }), options)
  yield encodeStreamEnd(block.check, block)
}

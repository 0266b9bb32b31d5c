import type { ByteSink } from '../../src/transfer/byte-sink.ts'

export interface MemorySink extends ByteSink {
  /** Everything written so far. */
  bytes(): Buffer
  readonly state: 'open' | 'finished' | 'aborted'
  readonly writes: number
}

/** A sink that keeps a copy of what it is given. With `zeros`, it also takes zeros as a hole would. */
export function memorySink({ zeros = false }: { zeros?: boolean } = {}): MemorySink {
  const chunks: Buffer[] = []
  let state: MemorySink['state'] = 'open'
  return {
    name: 'memory',
    bytes: () => Buffer.concat(chunks),
    get state() {
      return state
    },
    get writes() {
      return chunks.length
    },
    async write(chunk) {
      chunks.push(Buffer.from(chunk))
    },
    ...(zeros && {
      async writeZeros(length) {
        chunks.push(Buffer.alloc(length))
      },
    }),
    async finish() {
      state = 'finished'
    },
    async abort() {
      state = 'aborted'
    },
  }
}

import type { DigestAlgorithm } from './digests.ts'

/** What a hash thread is started with. Slots are shared memory: only their numbers travel afterwards. */
export interface HashWorkerData {
  algorithm: DigestAlgorithm
  slots: readonly SharedArrayBuffer[]
}

/** First `zeros` zeros, then the first `length` bytes of a slot if there is one, then the end if it is the last. */
export interface HashRequest {
  zeros: number
  slot?: { index: number; length: number }
  last: boolean
}

/** One for each request, in order, when its slot may be filled again. */
export interface HashReply {
  /** Hexadecimal digest; null before the last. */
  digest: string | null
}

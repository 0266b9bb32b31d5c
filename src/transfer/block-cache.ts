/**
 * The most recently used blocks of a source, at most `capacity` of them. Blocks that are still being loaded are held
 * too, so that two readers of one block load it once; one that failed to load is forgotten.
 */
export class BlockCache {
  readonly #capacity: number
  readonly #blocks = new Map<number, Promise<Uint8Array>>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  has(index: number): boolean {
    return this.#blocks.has(index)
  }

  get(index: number): Promise<Uint8Array> | undefined {
    const block = this.#blocks.get(index)
    if (block) {
      this.#blocks.delete(index)
      this.#blocks.set(index, block)
    }
    return block
  }

  put(index: number, block: Promise<Uint8Array>): void {
    this.#blocks.delete(index)
    this.#blocks.set(index, block)
    block.catch(() => {
      if (this.#blocks.get(index) === block) this.#blocks.delete(index)
    })
    for (const oldest of this.#blocks.keys()) {
      if (this.#blocks.size <= this.#capacity) break
      this.#blocks.delete(oldest)
    }
  }

  clear(): void {
    this.#blocks.clear()
  }
}

/**
 * Gives the memory of a buffer that nobody uses any more back at once; every view of it is empty afterwards. Otherwise it
 * stays until V8 collects the view, which on a hot path comes tens of MiB later. Leaves shared memory alone, and what may
 * be a part of Node's pool.
 */
export function freeBuffer({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0)
}

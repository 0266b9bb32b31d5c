import { createHash, randomFillSync } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { runProgram } from '../src/core/program.ts'

export const GiB = 2 ** 30
const piece = 16 * 2 ** 20

/** Our command line as it is installed: compiled, on the pinned runtime. */
export function imagewright(...programArguments: string[]): [string, ...string[]] {
  return [process.execPath, resolve(import.meta.dirname, '../dist/cli/main.js'), ...programArguments]
}

/** A file of `bytes` that do not compress, without a zero block. */
export async function writeRandomFile(path: string, bytes: number): Promise<void> {
  const buffer = Buffer.alloc(piece)
  await writePieces(path, bytes, () => randomFillSync(buffer))
}

/** A file of `bytes` that compress about as well as a system's programs and texts do: to a third or so. */
export async function writeCompressibleFile(path: string, bytes: number): Promise<void> {
  const words = Array.from({ length: 4096 }, (_, index) =>
    createHash('md5')
      .update(String(index))
      .digest('base64')
      .slice(0, 4 + (index % 9)),
  )
  const buffer = Buffer.alloc(piece)
  const choice = Buffer.alloc(2 * piece)
  await writePieces(path, bytes, () => {
    randomFillSync(choice)
    let at = 0
    for (let index = 0; at < piece; index += 1) {
      at += buffer.write(`${words[choice.readUInt16LE(2 * (index % piece)) % 4096]} `, at, 'latin1')
    }
    return buffer
  })
}

/** A file of `bytes` of this machine's own programs, libraries and texts, laid out as on a disk; small machines give them twice. */
export async function writeSystemFile(path: string, bytes: number): Promise<void> {
  const buffer = Buffer.alloc(piece)
  const files = systemFiles()
  await writePieces(path, bytes, () => {
    buffer.fill(0)
    for (let at = 0; at < piece; ) {
      const next = files.next()
      if (next.done) throw new Error('This machine has no files of its own.')
      const length = next.value.copy(buffer, at)
      at += Math.ceil(length / blockSize) * blockSize
    }
    return buffer
  })
}

const blockSize = 4096

/** The files below /usr that are no larger than a piece, again and again. */
function* systemFiles(): Generator<Buffer, void, undefined> {
  for (let found = true; found; ) {
    found = false
    for (const folder of ['bin', 'lib', 'share']) {
      for (const entry of readdirSync(join('/usr', folder), { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name)
        if (!entry.isFile() || statSync(path).size === 0 || statSync(path).size > piece) continue
        found = true
        yield readFileSync(path)
      }
    }
  }
}

/** Removes the last outputs and lets the disk come to rest, so that nobody pays for what another one wrote. */
export function removeBefore(...paths: string[]): () => Promise<void> {
  return async () => {
    for (const path of paths) await rm(path, { force: true })
    await runProgram('sync', [], { timeout: 300_000 })
  }
}

async function writePieces(path: string, bytes: number, next: () => Buffer): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (let at = 0; at < bytes; at += piece) await file.write(next(), 0, Math.min(piece, bytes - at), at)
    await file.sync()
  } finally {
    await file.close()
  }
}

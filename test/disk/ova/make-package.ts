import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { runProgram } from '../../../src/core/program.ts'
import type { Disk } from '../../../src/disk/disk.ts'
import { qemuImg } from '../../support/qemu-img.ts'

/** Bytes of the disks that `writeSampleDisk` writes. */
export const sampleSize = 9 * 2 ** 20

/** A raw disk with some data, holes and zeros, different for every `mark`. */
export async function writeSampleDisk(path: string, mark = 'A'): Promise<Buffer> {
  const bytes = Buffer.alloc(sampleSize)
  bytes.fill(mark, 65_536, 200_000)
  bytes.write(`${mark} in the middle`, 5_000_000)
  bytes.write(`${mark} at the end`, bytes.length - 20)
  for (let at = 1_000_000; at < 1_400_000; at += 1) bytes[at] = (at * 31 + mark.charCodeAt(0)) % 251
  await writeFile(path, bytes)
  return bytes
}

/** The same as a VMDK stream, as QEMU writes it. */
export async function qemuStream(raw: string, vmdk: string): Promise<void> {
  await qemuImg('convert', '-f', 'raw', '-O', 'vmdk', '-o', 'subformat=streamOptimized', raw, vmdk)
}

/** Lines of a manifest for files of a folder. */
export async function manifestOf(
  folder: string,
  names: readonly string[],
  algorithm = 'sha256',
): Promise<string> {
  const lines = names.map(async (name) => {
    const digest = createHash(algorithm)
      .update(await readFile(join(folder, name)))
      .digest('hex')
    return `${algorithm.toUpperCase()}(${name})= ${digest}\n`
  })
  return (await Promise.all(lines)).join('')
}

/** Packs files of a folder, in this order, with GNU tar. */
export async function pack(
  folder: string,
  names: readonly string[],
  { format = 'ustar', to = 'a.ova' }: { format?: string; to?: string } = {},
): Promise<string> {
  const path = join(folder, to)
  await runProgram('tar', [`--format=${format}`, '-cf', path, '-C', folder, ...names], { timeout: 60_000 })
  return path
}

/** Writes texts and bytes as files of a folder. */
export async function putFiles(
  folder: string,
  files: Readonly<Record<string, string | Buffer>>,
): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
  }
}

/** Changes a bit of the last byte of a file. */
export async function spoil(path: string): Promise<void> {
  const bytes = await readFile(path)
  const last = bytes.length - 1
  bytes[last] = (bytes[last] ?? 0) ^ 1
  await writeFile(path, bytes)
}

/** Everything a guest would see. */
export async function readAll(disk: Disk): Promise<Buffer> {
  const bytes = Buffer.alloc(disk.size)
  const piece = 2 ** 20
  for (let at = 0; at < bytes.length; at += piece) await disk.read(bytes.subarray(at, at + piece), at)
  return bytes
}

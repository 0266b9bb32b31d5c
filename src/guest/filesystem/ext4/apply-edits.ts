import { randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { AbortOptions } from '../../../core/abort.ts'
import { roundUp } from '../../../core/bytes.ts'
import { type ByteRanges, ByteRangesBuilder } from '../../../disk/byte-ranges.ts'
import type { Disk } from '../../../disk/disk.ts'
import { GuestError } from '../../errors.ts'
import { diskChunks } from '../disk-chunks.ts'
import { type BlockMap, readBlockMap } from './block-map.ts'
import { damaged } from './damaged.ts'
import { readDirectory } from './directory.ts'
import { runDebugfs } from './e2fsprogs.ts'
import { editInode, unlinkNames } from './edit-working-file.ts'
import { inodeTableBlocks } from './group-descriptors.ts'
import { inlineDataRanges } from './inline-data.ts'
import { hasFlag, type Inode, readInode } from './inode.ts'
import { inodeOffsets, modeTypes, superblockOffset } from './layout.ts'
import type { CreatedEntry, EditPlan } from './plan-edits.ts'
import { transplant } from './transplant.ts'
import { openVolume, type Volume } from './volume.ts'
import type { WorkingFile } from './working-file.ts'

export interface ApplyOptions extends AbortOptions {
  volume: Volume
  file: WorkingFile
  plan: EditPlan
}

/**
 * Makes the planned changes in the working file. Names and links are edited here, so that no name of the guest
 * becomes part of a command; what allocates or frees is debugfs's. Modification times stay as they are: the result
 * depends on the input alone, not on the clock.
 * @returns the blocks whose content is new, whatever they were before
 */
export async function applyEdits({ volume, file, plan, signal }: ApplyOptions): Promise<ByteRanges> {
  const { blockSize } = volume.superblock
  const folder = dirname(file.path)
  const sources: string[] = []
  const written = new ByteRangesBuilder()
  const commands: string[] = []
  const touched = new Set<number>()
  const regrown: { inode: Inode; size: number; name: string }[] = []

  async function addSource(content: Uint8Array | Disk): Promise<string> {
    const name = `content-${randomUUID()}`
    sources.push(join(folder, name))
    const bytes = content instanceof Uint8Array ? content : diskChunks(content, { signal })
    await writeFile(join(folder, name), bytes, { flag: 'wx', mode: 0o600 })
    return name
  }

  /** In place where the blocks suffice; otherwise into a new file, whose blocks it then gets. */
  async function replaceContent(inode: Inode, content: Uint8Array): Promise<void> {
    if (hasFlag(inode, 'inlineData')) {
      await replaceInlineContent(volume, file, inode, content)
      return
    }
    const map = await readBlockMap(volume, inode, { signal })
    const needed = Math.ceil(content.length / blockSize)
    const target = `<${inode.number}>`
    touched.add(inode.number)
    if (writtenBlocks(map) < needed) {
      const name = `.content-${randomUUID()}`
      if (map.runs.length > 0) commands.push(`punch ${target} 0`)
      // Whole blocks, so that the new file never keeps its content in its inode.
      const padded = new Uint8Array(roundUp(content.length, blockSize))
      padded.set(content)
      commands.push('cd /', `write ${await addSource(padded)} ${name}`)
      regrown.push({ inode, size: content.length, name })
      return
    }
    for (const { logical, physical, count } of map.runs) {
      for (let index = 0; index < count && logical + index < needed; index += 1) {
        const block = new Uint8Array(blockSize)
        const start = (logical + index) * blockSize
        block.set(content.subarray(start, start + blockSize))
        file.put(physical + index, block)
        file.markChanged(physical + index, 1)
        written.add((physical + index) * blockSize, blockSize)
      }
    }
    if (map.runs.some(({ logical, count }) => logical + count > needed))
      commands.push(`punch ${target} ${needed}`)
    commands.push(`set_inode_field ${target} size ${content.length}`)
  }

  try {
    for (const removal of plan.unlinked.values()) await unlinkNames(volume, file, removal, { signal })
    for (const [number, links] of plan.links)
      commands.push(`set_inode_field <${number}> links_count ${links}`)
    for (const [number, mode] of plan.modes)
      commands.push(`set_inode_field <${number}> mode 0${mode.toString(8)}`)
    for (const { number, attributeBlock } of plan.freed) {
      // kill_file frees the inode but leaves its links, which e2fsck takes for life.
      commands.push(`set_inode_field <${number}> links_count 0`, `kill_file <${number}>`)
      if (attributeBlock > 0) file.markChanged(attributeBlock, 1)
    }
    for (const { inode, content } of plan.contents.values()) await replaceContent(inode, content)
    for (const created of plan.created) {
      commands.push(...createCommands(created, created.content && (await addSource(created.content))))
    }
    if (commands.length > 0)
      await runDebugfs(file.path, [await setClock(volume, { signal }), ...commands], { signal })
    for (const { inode, size, name } of regrown) {
      await transplant({ volume, file, target: inode.number, size, name, signal })
    }
    markCore(volume, file)

    const edited = await openVolume(file.disk, { signal })
    for (const { path, directory, names } of plan.created) {
      let number = directory
      for (const name of names) {
        touched.add(number)
        await addNewBlocks(edited, file, number, written, signal)
        const parent = await readInode(edited, number, { signal })
        const entry = (await readDirectory(edited, parent, { signal })).find((found) => found.name === name)
        if (!entry) throw new GuestError('FILESYSTEM_EDIT_FAILED', `debugfs did not create "${path}".`)
        number = entry.inode
      }
      touched.add(number)
      await addNewBlocks(edited, file, number, written, signal)
    }
    for (const { inode } of regrown) await addNewBlocks(edited, file, inode.number, written, signal)
    for (const number of touched) {
      const inode = await readInode(edited, number, { signal })
      if (hasFlag(inode, 'inlineData')) continue
      for (const block of (await readBlockMap(edited, inode, { signal })).mapBlocks) {
        file.markChanged(block, 1)
        written.add(block * blockSize, blockSize)
      }
    }
    return written.build()
  } finally {
    await Promise.all(sources.map((path) => rm(path, { force: true })))
  }
}

/** Everything in a fixed place that debugfs and e2fsck may have changed. */
export function markCore({ superblock, groups }: Volume, file: WorkingFile): void {
  file.markChanged(Math.floor(1024 / superblock.blockSize), 1)
  for (const block of groups.descriptorBlocks) file.markChanged(block, 1)
  const tableBlocks = inodeTableBlocks(superblock)
  for (let group = 0; group < superblock.groupCount; group += 1) {
    file.markChanged(groups.blockBitmap[group] ?? 0, 1)
    file.markChanged(groups.inodeBitmap[group] ?? 0, 1)
    file.markChanged(groups.inodeTable[group] ?? 0, tableBlocks)
  }
}

/** How many blocks from the file's start on are mapped without a gap and written. */
function writtenBlocks({ runs }: BlockMap): number {
  let end = 0
  for (const { logical, count, unwritten } of runs) {
    if (unwritten || logical !== end) break
    end += count
  }
  return end
}

async function replaceInlineContent(
  volume: Volume,
  file: WorkingFile,
  { number }: Inode,
  content: Uint8Array,
): Promise<void> {
  await editInode(volume, file, number, (inode) => {
    let done = 0
    for (const { start, end } of inlineDataRanges(inode)) {
      const part = content.subarray(done, done + (end - start))
      inode.record.fill(0, start, end)
      inode.record.set(part, start)
      done += part.length
    }
    if (done < content.length) {
      throw new GuestError(
        'FILESYSTEM_EDIT_FAILED',
        `${content.length} bytes do not fit into inode ${number}, which keeps its content inline.`,
      )
    }
    new DataView(inode.record.buffer, inode.record.byteOffset).setUint32(
      inodeOffsets.sizeLow,
      content.length,
      true,
    )
  })
}

function createCommands(
  { path, directory, names, content, attributes }: CreatedEntry,
  source: string | null,
): string[] {
  // The names become parts of commands, so they have to be ones that cannot be read as anything else.
  if (!names.every((name) => /^[\w.@+][\w.@+-]{0,200}$/.test(name))) {
    throw new GuestError(
      'FILESYSTEM_EDIT_FAILED',
      `"${path}" cannot be created: its name has odd characters.`,
    )
  }
  const name = names.at(-1) ?? ''
  const type = content === null ? modeTypes.directory : modeTypes.file
  return [
    `cd <${directory}>`,
    ...names.slice(0, -1).map((parent) => `cd ${parent}`),
    source === null ? `mkdir ${name}` : `write ${source} ${name}`,
    `set_inode_field ${name} mode 0${(type | (attributes.mode & 0o7777)).toString(8)}`,
    `set_inode_field ${name} uid ${attributes.uid}`,
    `set_inode_field ${name} gid ${attributes.gid}`,
  ]
}

const wtimeOffset = 0x30

/** New files are as old as the last change before them: the result depends on the input alone. */
async function setClock({ disk }: Volume, options: AbortOptions): Promise<string> {
  const bytes = Buffer.alloc(4)
  await disk.read(bytes, superblockOffset + wtimeOffset, options)
  // Zero would mean the clock.
  return `set_current_time @${Math.max(1, bytes.readUInt32LE())}`
}

/** All blocks of a file that was created or has grown: debugfs has written them. */
async function addNewBlocks(
  edited: Volume,
  file: WorkingFile,
  number: number,
  written: ByteRangesBuilder,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { blockSize } = edited.superblock
  const inode = await readInode(edited, number, { signal })
  if (hasFlag(inode, 'inlineData')) return
  for (const { physical, count } of (await readBlockMap(edited, inode, { signal })).runs) {
    if (physical * blockSize >= file.disk.size) throw damaged(`inode ${number} points outside`)
    file.markChanged(physical, count)
    written.add(physical * blockSize, count * blockSize)
  }
}

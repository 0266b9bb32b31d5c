import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { MiB } from '../../core/bytes.ts'
import type { Disk } from '../../disk/disk.ts'
import type { ByteRange } from '../../transfer/byte-source.ts'
import { compileMarkers } from './marker-search.ts'
import { type AuditRule, contextAfter, contextBefore } from './rule.ts'

/** Where something was found: an offset in the disk that was scanned. */
export interface ContentMatch {
  readonly rule: AuditRule
  readonly offset: number
}

export interface ContentScanner {
  /**
   * Reads ranges of a disk, ascending, and gives what the rules find; a match does not go over the end of a range. Memory is
   * one buffer of 1 MiB, whatever is read; a scanner does one scan at a time.
   */
  scan(disk: Disk, ranges: AsyncIterable<ByteRange>, options: AbortOptions): AsyncGenerator<ContentMatch>
}

const bufferSize = MiB

/** A scanner for the rules that have markers. */
export function createContentScanner(rules: readonly AuditRule[]): ContentScanner {
  const byMarker = new Map<string, AuditRule[]>()
  for (const rule of rules) {
    for (const marker of rule.content?.markers ?? []) {
      byMarker.set(marker, [...(byMarker.get(marker) ?? []), rule])
    }
  }
  const search = compileMarkers([...byMarker.keys()])
  const buffer = Buffer.alloc(bufferSize)

  /** Matches that begin in [from, to) of the buffer, which holds `length` bytes. */
  function look(length: number, { from, to }: { from: number; to: number }): ContentMatch[] {
    const held = buffer.subarray(0, length)
    const matches: ContentMatch[] = []
    /** Behind the last match of each rule: what two markers of one rule belong to is found once. */
    const ends = new Map<AuditRule, number>()
    search.each(held, { from, to }, (at, marker) => {
      const start = Math.max(0, at - contextBefore)
      let text: string | null = null
      for (const rule of byMarker.get(marker) ?? []) {
        if (!rule.content || at < (ends.get(rule) ?? 0)) continue
        text ??= held.toString('latin1', start, Math.min(length, at + contextAfter))
        const { pattern } = rule.content
        pattern.lastIndex = at - start
        if (!pattern.test(text)) continue
        ends.set(rule, start + pattern.lastIndex)
        matches.push({ rule, offset: at })
      }
    })
    return matches
  }

  return {
    async *scan(disk, ranges, options) {
      if (byMarker.size === 0) return
      for await (const range of ranges) {
        const end = range.offset + range.length
        /** Disk offset of the buffer's first byte, bytes it holds, and bytes of them already looked at. */
        let base = range.offset
        let held = 0
        let seen = 0
        while (base + held < end) {
          throwIfCancelled(options.signal)
          const length = Math.min(bufferSize - held, end - base - held)
          await disk.read(buffer.subarray(held, held + length), base + held, options)
          held += length
          const isLast = base + held >= end
          const to = isLast ? held : held - contextAfter
          const found = look(held, { from: seen, to })
          const kept = Math.max(0, to - contextBefore)
          const matches = found.map(({ rule, offset }) => ({ rule, offset: base + offset }))
          buffer.copyWithin(0, kept, held)
          base += kept
          held -= kept
          seen = to - kept
          yield* matches
        }
      }
    },
  }
}

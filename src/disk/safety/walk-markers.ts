import { throwIfCancelled } from '../../core/abort.ts'
import { streamByReading } from '../../transfer/stream-by-reading.ts'
import { directoryEntries } from '../vmdk/grain-map.ts'
import {
  entryBytes,
  footerBytes,
  grainMarkerBytes,
  grainTableBytes,
  markerTypes,
  sectorSize,
} from '../vmdk/vmdk-layout.ts'
import type { GrainTable, GrainWalk, TableGrain } from './check-vmdk-tables.ts'
import { harmlessExpansion } from './limits.ts'
import { type Marker, type MarkerReader, markerReader } from './marker-reader.ts'

/**
 * Reads a stream by its markers alone, as a program does that gets it through a pipe, and by its tables alone, as one does that
 * has a file, and holds the one against the other: nobody must see another disk than somebody else does. As the markers lie
 * one behind the other, this is also why no two grains share a place.
 */
export async function walkMarkers(walk: GrainWalk, tables: AsyncIterable<GrainTable>): Promise<void> {
  const { header, source, claims, findings, signal } = walk
  const start = header.overHead
  // With a footer the tables are in the stream, and the walk finds each of them in its place.
  const inFront = header.hasFooter ? header.descriptorOffset + header.descriptorSize : claims.end * sectorSize
  if (start < inFront || start > source.size) {
    findings.refuse('vmdk.overlaps', 'IMAGE_OVERLAP', undefined, () => {
      return `The data begin at byte ${start}; the tables before them end at ${inFront}, the file at ${source.size}.`
    })
    return
  }
  // By reading, since the one stream of a source may be needed to prove it.
  const markers = markerReader(streamByReading(source, { start, signal, transient: true }), start)
  try {
    const counted = { grains: 0, stored: 0 }
    for await (const table of tables) {
      for (const grain of table.grains()) {
        const marker = await nextMarker(walk, markers)
        if (!isGrainMarker(walk, marker, grain)) return
        counted.grains += 1
        counted.stored += marker.end - marker.position
      }
      if (header.hasFooter && !(await isTableMarker(walk, markers, table))) return
    }
    checkExpansion(walk, counted)
    await (header.hasFooter ? checkEnd(walk, markers) : checkRest(walk, markers))
  } finally {
    await markers.close()
  }
}

/** The next marker that matters: progress markers may stand anywhere, and where the tables are in front, others too. */
async function nextMarker({ header, signal }: GrainWalk, markers: MarkerReader): Promise<Marker | null> {
  for (;;) {
    throwIfCancelled(signal)
    const marker = await markers.next()
    if (marker === null || marker.size > 0 || marker.type === markerTypes.endOfStream) return marker
    if (marker.type === markerTypes.progress) continue
    if (header.hasFooter || marker.type > markerTypes.progress) return marker
  }
}

function isGrainMarker(walk: GrainWalk, marker: Marker | null, grain: TableGrain): marker is Marker {
  const { header, source } = walk
  const { host, guest, entry } = grain
  const isRight = marker !== null && marker.size > 0 && marker.position === host
  if (!isRight || marker.value * sectorSize !== guest) {
    return differs(
      walk,
      marker,
      `the table entry at byte ${entry} has the grain for byte ${guest} of the disk at byte ${host}`,
    )
  }
  if (marker.size > 2 * header.grainSize) {
    walk.findings.refuse('vmdk.markers', 'IMAGE_ENTRY_INVALID', host, () => {
      return `The grain at byte ${host} has ${marker.size} bytes of data, more than twice its own size.`
    })
    return false
  }
  if (marker.position + grainMarkerBytes + marker.size > source.size) {
    walk.findings.refuse('vmdk.markers', 'IMAGE_TRUNCATED', host, () => {
      return `The file ends inside the grain at byte ${host}.`
    })
    return false
  }
  return true
}

async function isTableMarker(walk: GrainWalk, markers: MarkerReader, table: GrainTable): Promise<boolean> {
  const marker = await nextMarker(walk, markers)
  const isRight =
    marker !== null &&
    marker.size === 0 &&
    marker.type === markerTypes.grainTable &&
    marker.position + sectorSize === table.offset &&
    marker.value * sectorSize === grainTableBytes
  return isRight || differs(walk, marker, `there is a grain table at byte ${table.offset}`)
}

/** Grain directory, footer and end-of-stream marker, and nothing more; `readFooter` has seen the last two. */
async function checkEnd(walk: GrainWalk, markers: MarkerReader): Promise<void> {
  const { header, source } = walk
  const marker = await nextMarker(walk, markers)
  const isRight =
    marker !== null &&
    marker.size === 0 &&
    marker.type === markerTypes.grainDirectory &&
    marker.position + sectorSize === header.directoryOffset &&
    marker.value * sectorSize >= directoryEntries(header) * entryBytes &&
    marker.end === source.size - footerBytes
  if (!isRight) differs(walk, marker, `the grain directory is at byte ${header.directoryOffset}`)
}

/** Behind the last grain of a stream with its tables in front: an end-of-stream marker and padding, or the end of the file. */
async function checkRest(walk: GrainWalk, markers: MarkerReader): Promise<void> {
  const marker = await nextMarker(walk, markers)
  if (marker === null) return
  const isEnd = marker.size === 0 && marker.type === markerTypes.endOfStream && marker.value === 0
  if (!isEnd || !(await markers.restIsZero())) differs(walk, marker, 'there is nothing more')
}

function differs({ findings }: GrainWalk, marker: Marker | null, expected: string): false {
  findings.refuse('vmdk.markers', 'IMAGE_COPIES_DIFFER', marker?.position, () => {
    const found =
      marker === null ? 'the stream ends' : `the marker at byte ${marker.position} ${describe(marker)}`
    return `By the tables ${expected}; ${found}.`
  })
  return false
}

function describe({ size, type, value }: Marker): string {
  return size > 0 ? `is of a grain for byte ${value * sectorSize}` : `is of the type ${type}`
}

function checkExpansion(
  { header, limits, findings }: GrainWalk,
  { grains, stored }: { grains: number; stored: number },
): void {
  const expanded = grains * header.grainSize
  if (expanded <= harmlessExpansion || expanded <= stored * limits.expansionRatio) return
  findings.refuse('vmdk.expansion', 'IMAGE_EXPANSION_LIMIT', undefined, () => {
    return `${stored} bytes of compressed data expand to ${expanded}, more than ${limits.expansionRatio} to 1.`
  })
}

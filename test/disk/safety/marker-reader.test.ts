import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { type Marker, markerReader } from '../../../src/disk/safety/marker-reader.ts'
import { writeVmdk } from '../../../src/disk/vmdk/vmdk-writer.ts'
import { streamByReading } from '../../../src/transfer/stream-by-reading.ts'
import { memorySink } from '../../support/memory-sink.ts'
import { memorySource } from '../../support/memory-source.ts'
import { sampleContent } from '../qcow2/sample-content.ts'

const start = 65_536

async function allMarkers(image: Buffer, cuts: readonly number[]): Promise<Marker[]> {
  const markers = markerReader(inChunks(image, cuts), start)
  const found: Marker[] = []
  for (let marker = await markers.next(); marker; marker = await markers.next()) found.push(marker)
  await markers.close()
  return found
}

/** One buffer for all chunks, as a file has. */
async function* inChunks(image: Buffer, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(image.length)
  const places = [start, ...cuts.filter((cut) => cut > start && cut < image.length), image.length]
  for (const [index, place] of places.slice(0, -1).entries()) {
    const length = image.copy(buffer.fill(0xee), 0, place, places[index + 1])
    yield buffer.subarray(0, length)
  }
}

test('the markers of a stream are the same however it is cut into chunks', async () => {
  const sink = memorySink()
  await writeVmdk(memoryDisk(sampleContent()), sink)
  const image = sink.bytes()
  const whole = await allMarkers(image, [])
  expect(whole.at(-1)).toMatchObject({ type: 0, size: 0, end: image.length })
  const near = whole.flatMap(({ position }) => [position + 1, position + 8, position + 15, position + 16])
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.nat(image.length), fc.constantFrom(...near)), { maxLength: 40 }),
      async (cuts) => {
        const ascending = [...new Set(cuts)].sort((a, b) => a - b)
        expect(await allMarkers(image, ascending)).toEqual(whole)
      },
    ),
    { numRuns: 50 },
  )
})

test('tells whether anything follows the last marker', async () => {
  for (const [rest, expected] of [
    [Buffer.alloc(0), true],
    [Buffer.alloc(1000), true],
    [Buffer.from([0, 0, 1]), false],
  ] as const) {
    const stream = streamByReading(memorySource(Buffer.concat([Buffer.alloc(512), rest])))
    const markers = markerReader(stream, 0)
    expect(await markers.next()).toMatchObject({ type: 0, end: 512 })
    expect(await markers.restIsZero()).toBe(expected)
  }
})

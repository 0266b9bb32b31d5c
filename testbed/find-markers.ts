import { createReadStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AbortOptions } from '../src/core/abort.ts'
import { runProgram } from '../src/core/program.ts'
import { markerPrefix, type Secret, type SecretPlan } from './secrets.ts'

export interface FoundMarkers {
  /** Of the plan's secrets, how many are somewhere in the bytes. */
  readonly found: readonly { readonly secret: Secret; readonly times: number }[]
  /** All occurrences together. */
  readonly occurrences: number
}

/** Looks for every marker of a plan in raw bytes, in one pass, as an attacker with `strings` would. */
export async function findMarkers(
  bytes: AsyncIterable<Uint8Array>,
  plan: Pick<SecretPlan, 'run' | 'secrets'>,
): Promise<FoundMarkers> {
  const prefix = Buffer.from(markerPrefix(plan.run))
  const markerLength = prefix.length + 5
  const counts = new Map<string, number>()
  let rest: Uint8Array = new Uint8Array()
  for await (const chunk of bytes) {
    const window = Buffer.concat([rest, chunk])
    let from = 0
    for (;;) {
      const at = window.indexOf(prefix, from)
      if (at === -1 || at + markerLength > window.length) break
      const marker = window.toString('latin1', at, at + markerLength)
      counts.set(marker, (counts.get(marker) ?? 0) + 1)
      from = at + markerLength
    }
    // What could be the start of a marker that goes on in the next chunk.
    rest = window.subarray(Math.max(from, window.length - markerLength + 1))
  }
  const found = plan.secrets.flatMap((secret) => {
    const times = counts.get(secret.marker) ?? 0
    return times > 0 ? [{ secret, times }] : []
  })
  return { found, occurrences: [...counts.values()].reduce((sum, times) => sum + times, 0) }
}

/** The same in a raw disk image. */
export function findMarkersInRaw(path: string, plan: SecretPlan): Promise<FoundMarkers> {
  return findMarkers(createReadStream(path, { highWaterMark: 1024 * 1024 }), plan)
}

/** The same in an image of any format, which qemu-img reads: a reader that is not ours. */
export async function findMarkersInImage(
  path: string,
  plan: SecretPlan,
  { signal }: AbortOptions = {},
): Promise<FoundMarkers> {
  const work = await mkdtemp(join(tmpdir(), 'imagewright-markers-'))
  try {
    const raw = join(work, 'disk.raw')
    const programArguments = ['convert', '-O', 'raw', path, raw]
    await runProgram('qemu-img', programArguments, { timeout: 300_000, package: 'qemu-utils', signal })
    return await findMarkersInRaw(raw, plan)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** One line per found secret, for failure messages. */
export function describeFound({ found }: FoundMarkers): string[] {
  return found.map(
    ({ secret, times }) => `${secret.group}: ${secret.path} (${secret.planting}), ${times} times`,
  )
}

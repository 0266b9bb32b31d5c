import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeFound, findMarkers, findMarkersInRaw } from '../../testbed/find-markers.ts'
import { secretEntries } from '../../testbed/plant-secrets.ts'
import { planSecrets } from '../../testbed/secrets.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import { describeWith } from '../support/requirements.ts'

async function* chunksOf(text: string, length: number) {
  for (let start = 0; start < text.length; start += length)
    yield Buffer.from(text.slice(start, start + length))
}

describe('findMarkers', () => {
  const plan = planSecrets({ running: false })

  test.each([1, 2, 7, 19, 20, 21, 64])('finds markers across chunks of %i bytes', async (length) => {
    const [first, second] = plan.secrets
    const text = `..${first?.marker}${first?.marker}--MARKER-${second?.marker}tail`
    const { found, occurrences } = await findMarkers(chunksOf(text, length), plan)
    expect(found.map(({ secret, times }) => [secret.path, times])).toEqual([
      [first?.path, 2],
      [second?.path, 1],
    ])
    expect(occurrences).toBe(3)
  })

  test('does not take the markers of another run for its own', async () => {
    const other = planSecrets({ running: false })
    const text = other.secrets.map(({ marker }) => marker).join('\n')
    expect((await findMarkers(chunksOf(text, 64), plan)).occurrences).toBe(0)
  })
})

describeWith(['mke2fs', 'debugfs'], 'a guest built with planted secrets', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-test-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test('holds every one of them in its raw bytes, deleted ones too', async () => {
    const plan = planSecrets({ running: false })
    const image = join(folder, 'planted.raw')
    await buildTinyGuest(image, secretEntries(plan))
    const found = await findMarkersInRaw(image, plan)
    const there = new Set(found.found.map(({ secret }) => secret))
    expect(plan.secrets.filter((secret) => !there.has(secret))).toEqual([])
    expect(plan.secrets.length).toBeGreaterThanOrEqual(165)
    expect(describeFound(found)).toContain('deleted: /etc/deleted.conf (deleted-file), 400 times')
  })
})

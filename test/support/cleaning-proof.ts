import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { StoredFile } from '../../src/operations/store-file.ts'
import { identityFiles } from '../../testbed/proof-guests.ts'

type Files = ReadonlyMap<string, string>

/** R7: two clones of the guest in `folder` would share no identity. */
export async function expectNoSharedIdentity(folder: string): Promise<void> {
  for (const [identity, neutral] of Object.entries(identityFiles)) {
    const content = await readFile(join(folder, identity), 'utf8').catch(() => null)
    if (content !== null) expect(neutral, identity).toContain(content)
  }
}

/** R8: no file differs that the report does not name. */
export function expectOnlyReported(before: Files, after: Files, report: StoredFile['cleaning']): void {
  const reported = new Set(report?.entries.map((entry) => entry.path))
  const touched = [...before].flatMap(([file, what]) => (after.get(file) === what ? [] : [file]))
  expect(touched.length).toBeGreaterThan(100)
  expect(touched.filter((file) => !reported.has(file))).toEqual([])
  expect([...after.keys()].filter((file) => !before.has(file))).toEqual([])
  expect(after.get('/opt/app/data.bin')).toBe(before.get('/opt/app/data.bin'))
}

/** Every log is empty and keeps its owner and its mode. */
export function expectEmptiedLogs(before: Files, after: Files): void {
  const logs = [...after].filter(([file, what]) => file.startsWith('/var/log/') && what.startsWith('file'))
  expect(logs.length).toBeGreaterThan(10)
  for (const [file, what] of logs) {
    expect(what.split(' ').slice(0, 3), file).toEqual(before.get(file)?.split(' ').slice(0, 3))
    expect(what.split(' ')[3], file).toBe('0')
  }
}

import { describe, expect, it } from 'vitest'
import { applyCleaning } from '../../../src/guest/cleaning/apply-cleaning.ts'
import { catalogue } from '../../../src/guest/cleaning/catalogue.ts'
import { parsePatterns } from '../../../src/guest/cleaning/pattern.ts'
import { planCleaning } from '../../../src/guest/cleaning/plan-cleaning.ts'
import { memoryGuest } from '../../support/memory-guest.ts'
import { planted } from './planted.ts'

const everyId = catalogue.map((operation) => operation.id)

const anchors = [null, 'home', 'person', 'orphan-home', 'log-file', 'rotated-log', 'swap-file']

function only(id: string): { enable: string[]; disable: string[] } {
  return { enable: [id], disable: everyId.filter((other) => other !== id) }
}

describe('the catalogue of cleaning operations', () => {
  it('has an example of what each operation does', () => {
    expect(Object.keys(planted).sort()).toEqual([...everyId].sort())
  })

  it('names every operation once, with one sentence each', () => {
    expect(new Set(everyId).size).toBe(everyId.length)
    for (const { id, title, risk } of catalogue) {
      expect(id).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/)
      expect(title).toMatch(/^[A-Z].*\.$/)
      if (risk !== undefined) expect(risk).toMatch(/^[A-Z].*\.$/)
    }
  })

  it('has patterns that can be read, with known anchors', () => {
    for (const { id, actions } of catalogue) {
      for (const action of actions) {
        const patterns = Object.values(action).flatMap((value) => (Array.isArray(value) ? value : []))
        for (const pattern of patterns.filter((value: string) => /^[/{]/.test(value))) {
          for (const { anchor } of parsePatterns(pattern)) {
            expect(anchors, `${id}: ${pattern}`).toContain(anchor)
          }
        }
      }
    }
  })

  for (const { id } of catalogue) {
    it(`${id} does what its example says, and no more`, async () => {
      const example = planted[id]!
      const guest = await memoryGuest(example.files)
      const [filesystem] = guest.filesystems
      const before = filesystem!.snapshot()
      for (const path of [...(example.gone ?? []), ...example.stay]) expect(before).toHaveProperty([path])

      const report = await applyCleaning(guest, await planCleaning(guest, only(id)))

      const after = filesystem!.snapshot()
      expect(report.changed).toBe(true)
      for (const path of example.gone ?? []) expect(after, path).not.toHaveProperty([path])
      for (const path of example.stay) expect(after[path], path).toBe(before[path])
      for (const path of example.emptied ?? []) {
        expect(after[path], path).toBe(before[path]!.replace(/PLANTED-SECRET\n$/, ''))
      }
      for (const [path, content] of Object.entries(example.rewritten ?? {})) {
        expect(Buffer.from(await filesystem!.read(path)).toString(), path).toBe(content)
      }
      expect((await planCleaning(guest, only(id))).entries).toEqual([])
    })
  }

  for (const { id } of catalogue) {
    it(`nobody else does the work of ${id}`, async () => {
      const example = planted[id]!
      const guest = await memoryGuest(example.files)
      await applyCleaning(guest, await planCleaning(guest, { disable: [id] }))

      const [filesystem] = guest.filesystems
      const after = filesystem!.snapshot()
      const left = [
        ...(example.gone ?? []).filter((path) => path in after),
        ...(example.emptied ?? []).filter((path) => after[path]?.endsWith('PLANTED-SECRET\n')),
      ]
      for (const [path, content] of Object.entries(example.rewritten ?? {})) {
        const text = path in after ? Buffer.from(await filesystem!.read(path)).toString() : null
        if (text !== content) left.push(path)
      }
      expect(left).not.toEqual([])
    })
  }

  it('leaves everything where no operation is switched on', async () => {
    const guest = await memoryGuest(Object.assign({}, ...Object.values(planted).map(({ files }) => files)))
    const before = guest.filesystems[0]!.snapshot()
    const report = await applyCleaning(guest, await planCleaning(guest, { disable: everyId }))
    expect(report.changed).toBe(false)
    expect(guest.filesystems[0]!.snapshot()).toEqual(before)
  })
})

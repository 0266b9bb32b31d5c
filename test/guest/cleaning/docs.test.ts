import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { withGeneratedTables } from '../../../src/guest/cleaning/catalogue-table.ts'
import { parseProfile } from '../../../src/guest/cleaning/parse-profile.ts'
import { cleaningProfiles } from '../../../src/guest/cleaning/profiles.ts'
import { selectOperations } from '../../../src/guest/cleaning/select-operations.ts'

it('docs/cleaning.md has the tables of the catalogue as it is; npm run docs writes it', async () => {
  const page = await readFile(resolve(import.meta.dirname, '../../../docs/cleaning.md'), 'utf8')
  expect(page).toBe(withGeneratedTables(page))
  expect(page).toContain('| `machine-id` | default, minimal, strict, atmosphere |')
})

it('docs/cleaning.md shows a profile that can be used as it is', async () => {
  const page = await readFile(resolve(import.meta.dirname, '../../../docs/cleaning.md'), 'utf8')
  const [, text = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? []
  const lab = parseProfile(text, { name: 'lab.yaml' })
  expect(Object.values(lab).every((value) => value?.length !== 0)).toBe(true)
  expect(selectOperations({ profile: 'lab', definitions: { lab } }).operations.length).toBeGreaterThan(50)
})

it('docs/cleaning.md names every profile', async () => {
  const page = await readFile(resolve(import.meta.dirname, '../../../docs/cleaning.md'), 'utf8')
  for (const name of Object.keys(cleaningProfiles)) expect(page).toContain(`| \`${name}\` | `)
})

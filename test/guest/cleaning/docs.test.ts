import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { withGeneratedTables } from '../../../src/guest/cleaning/catalogue-table.ts'

it('docs/cleaning.md has the tables of the catalogue as it is; npm run docs writes it', async () => {
  const page = await readFile(resolve(import.meta.dirname, '../../../docs/cleaning.md'), 'utf8')
  expect(page).toBe(withGeneratedTables(page))
  expect(page).toContain('| `machine-id` | default, minimal, strict, atmosphere |')
})

/** Rewrites the generated tables of `docs/`; `npm run docs`. Tests hold the files to what this writes. */
import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { errorsPage } from './errors-page.ts'

const docs = resolve(import.meta.dirname, '../docs')

await writeFile(resolve(docs, 'errors.md'), await errorsPage())
await rewriteCleaningTable(resolve(docs, 'cleaning.md'))

async function rewriteCleaningTable(path: string): Promise<void> {
  const { withGeneratedTables } = await import('../src/guest/cleaning/catalogue-table.ts')
  await writeFile(path, withGeneratedTables(await readFile(path, 'utf8')))
}

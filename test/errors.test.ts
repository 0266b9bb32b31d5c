import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { errorsPage, readErrorCodes } from '../testbed/errors-page.ts'

const root = resolve(import.meta.dirname, '..')

describe('docs/errors.md', () => {
  it('documents every code of every room in the words of the code (npm run docs writes it)', async () => {
    expect(readFileSync(join(root, 'docs/errors.md'), 'utf8')).toBe(await errorsPage())
  })
})

describe('the error codes', () => {
  it('are each used by one room only', async () => {
    const codes = (await readErrorCodes()).map(([code]) => code)
    expect(codes).toEqual([...new Set(codes)])
  })

  it('are all thrown or told somewhere', async () => {
    const source = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(root, 'src', name), 'utf8'))
      .join('\n')
    const unused = (await readErrorCodes())
      .map(([code]) => code)
      .filter((code) => !source.includes(`'${code}'`))
    expect(unused).toEqual([])
  })
})

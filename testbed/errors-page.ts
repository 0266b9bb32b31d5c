import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'

const source = resolve(import.meta.dirname, '../src')

const head = `# Error codes

Every error names what it is about, says what to do, and has a code that stays the same from version to version. \`--json\` prints it as
\`{"error": {"code", "message", "hint", "details"}}\`. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.

| code | meaning |
|---|---|
`

/** Every code of every room with its meaning, by code. */
export async function readErrorCodes(): Promise<[code: string, meaning: string][]> {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('errors.ts') || name.endsWith('warnings.ts'),
  )
  const codes: [string, string][] = []
  for (const file of files) {
    const exported: Record<string, unknown> = await import(join(source, file))
    for (const [name, table] of Object.entries(exported)) {
      if (/(Error|Warning)Codes$/.test(name) && typeof table === 'object' && table) {
        for (const [code, meaning] of Object.entries(table)) codes.push([code, String(meaning)])
      }
    }
  }
  return codes.sort(([a], [b]) => (a < b ? -1 : 1))
}

/** The text of \`docs/errors.md\`. */
export async function errorsPage(): Promise<string> {
  const rows = (await readErrorCodes()).map(([code, meaning]) => `| \`${code}\` | ${meaning} |`)
  return `${head}${rows.join('\n')}\n`
}

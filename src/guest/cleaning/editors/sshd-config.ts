import { type Editor, rewriting } from './editor.ts'

/** The rule of Atmosphere that let only its own users in. */
export const dropAtmosphereGroups: Editor = (lines) => ({
  lines: lines.filter(({ text }) => {
    const directive = parse(text)
    return !(directive?.keyword === 'allowgroups' && /^users\s+root\b/.test(directive.value))
  }),
})

/** sshd_config(5): root signs in with a key, or not at all. Every occurrence counts, those in `Match` blocks too. */
export const refuseRootPassword = rewriting((line) => {
  const directive = parse(line)
  if (directive?.keyword !== 'permitrootlogin' || !/^"?yes"?$/i.test(directive.value)) return line
  return `${directive.before}prohibit-password${directive.after}`
})

interface Directive {
  /** In lower case: sshd does not look at the case. */
  readonly keyword: string
  readonly value: string
  /** The line around the value. */
  readonly before: string
  readonly after: string
}

function parse(line: string): Directive | null {
  const match = /^(\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+))([^#]*?)(\s*(?:#.*)?)$/.exec(line)
  const [, before, keyword, value, after] = match ?? []
  if (before === undefined || keyword === undefined || value === undefined || after === undefined) return null
  return { keyword: keyword.toLowerCase(), value, before, after }
}

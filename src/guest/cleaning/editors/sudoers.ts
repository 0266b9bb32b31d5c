import type { TextLine } from '../text-lines.ts'
import type { Editor } from './editor.ts'

/**
 * sudoers(5): takes accounts out of rules for users. A rule for nobody else goes with all the lines it is continued on;
 * aliases and defaults stay, since a rule elsewhere may need them, and are a doubt when they name an account.
 */
export const removeSudoersAccounts: Editor = (lines, { accounts = [] }) => {
  const kept: TextLine[] = []
  const doubts: string[] = []
  for (const rule of logicalLines(lines)) {
    const [first] = rule
    const users = first ? userList(first.text) : null
    if (!first || users === null) {
      if (rule.some(({ text }) => namesAny(text, accounts))) doubts.push('names an account that goes')
      kept.push(...rule)
      continue
    }
    const left = users.names.filter((name) => !accounts.includes(name))
    if (left.length === users.names.length) kept.push(...rule)
    else if (left.length > 0) {
      kept.push({ ...first, text: `${users.indent}${left.join(',')}${users.rest}` }, ...rule.slice(1))
    }
  }
  return { lines: kept, doubts }
}

/** A line that ends in a backslash goes on in the next one. */
function logicalLines(lines: readonly TextLine[]): TextLine[][] {
  const rules: TextLine[][] = []
  let open: TextLine[] | null = null
  for (const line of lines) {
    const rule: TextLine[] = open ?? []
    if (!open) rules.push(rule)
    rule.push(line)
    open = line.text.endsWith('\\') ? rule : null
  }
  return rules
}

/** The users a rule is for; `null` for comments, defaults, aliases, includes, and what is no rule. */
function userList(line: string): { indent: string; names: string[]; rest: string } | null {
  const match = /^(\s*)([^\s#@:=,]+(?:\s*,\s*[^\s#@:=,]+)*)(\s+[^\s=]+\s*=.*)$/.exec(line)
  const [, indent = '', list = '', rest = ''] = match ?? []
  if (!match || /^(Defaults|(User|Runas|Host|Cmnd|Cmd)_Alias$)/.test(list)) return null
  return { indent, names: list.split(/\s*,\s*/), rest }
}

function namesAny(line: string, accounts: readonly string[]): boolean {
  if (/^\s*#(?!\d)/.test(line)) return false
  return line.split(/[\s,=:!]+/).some((word) => accounts.includes(word))
}

import type { TextLine } from '../text-lines.ts'
import type { Editor } from './editor.ts'

/** The files of accounts and groups: records of a fixed number of fields between colons, the name first. */
function removingRecords(fieldCount: number): Editor {
  return (lines, { accounts = [] }) => {
    const kept = lines.filter(({ text }) => !accounts.includes(nameOf(text)) || fields(text) !== fieldCount)
    const strange = kept.some(({ text }) => accounts.includes(nameOf(text)))
    return strange
      ? { strange: 'has a record of an account that goes with the wrong number of fields' }
      : { lines: kept }
  }
}

/** passwd(5) */
export const removePasswdAccounts = removingRecords(7)
/** shadow(5) */
export const removeShadowAccounts = removingRecords(9)
/** subuid(5), subgid(5) */
export const removeSubordinateIds = removingRecords(3)

/** group(5): groups go, and memberships. */
export const removeGroupAccounts: Editor = (lines, { accounts = [], groups = [] }) =>
  editGroups(lines, 4, ([name = '', password = '', id = '', members = '']) =>
    groups.includes(name) ? null : [name, password, id, without(members, accounts)],
  )

/** gshadow(5): has administrators beside the members. */
export const removeShadowGroupAccounts: Editor = (lines, { accounts = [], groups = [] }) =>
  editGroups(lines, 4, ([name = '', password = '', administrators = '', members = '']) =>
    groups.includes(name)
      ? null
      : [name, password, without(administrators, accounts), without(members, accounts)],
  )

/** The group `users` of old distributions, into which everybody was put. */
export const emptyUsersGroup: Editor = (lines) =>
  editGroups(lines, 4, ([name = '', password = '', id = '', members = '']) => [
    name,
    password,
    id,
    name === 'users' && id === '100' ? '' : members,
  ])

/** Records with another number of fields (comments, NIS) are nobody's and stay. */
function editGroups(
  lines: readonly TextLine[],
  fieldCount: number,
  edit: (fields: readonly string[]) => readonly string[] | null,
): { lines: TextLine[] } {
  return {
    lines: lines.flatMap((line) => {
      if (line.text.startsWith('#') || fields(line.text) !== fieldCount) return [line]
      const edited = edit(line.text.split(':'))?.join(':')
      if (edited === undefined) return []
      return edited === line.text ? [line] : [{ ...line, text: edited }]
    }),
  }
}

/** A list between commas without the named members; as it was when none of them is in it. */
function without(list: string, names: readonly string[]): string {
  const members = list.split(',')
  if (!members.some((member) => names.includes(member.trim()))) return list
  return members.filter((member) => !names.includes(member.trim())).join(',')
}

function nameOf(record: string): string {
  return record.slice(0, Math.max(0, record.indexOf(':')))
}

function fields(record: string): number {
  return record.split(':').length
}

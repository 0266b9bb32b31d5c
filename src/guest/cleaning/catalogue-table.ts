import { catalogue } from './catalogue.ts'
import type { CleaningAction, CleaningOperation } from './operation.ts'
import { profilesOf } from './profiles.ts'
import { virtSysprepOperations } from './virt-sysprep.ts'

/** The lines between which `docs/cleaning.md` has its tables; what is between them is generated. */
export const tableMarkers = {
  operations: ['<!-- operations: generated from the catalogue -->', '<!-- end of operations -->'],
  virtSysprep: ['<!-- virt-sysprep: generated -->', '<!-- end of virt-sysprep -->'],
} as const

/** The catalogue as a table in Markdown: what each operation does, in which profiles, and where. */
export function catalogueTable(): string {
  const rows = catalogue.map((operation) => {
    const notes = [operation.title, operation.risk ? `*${operation.risk}*` : ''].filter((note) => note !== '')
    const cells = [
      `\`${operation.id}\``,
      profilesOf(operation).join(', ') || 'none',
      notes.join(' '),
      operationPaths(operation).map(code).join('<br>'),
    ]
    return row(cells)
  })
  return [
    '| operation | profiles | what it does, and *what may be missed afterwards* | where |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n')
}

/** Every operation of virt-sysprep with what does its job here. */
export function virtSysprepTable(): string {
  const rows = Object.entries(virtSysprepOperations).map(([name, here]) =>
    row([`\`${name}\``, typeof here === 'string' ? here : here.map((id) => `\`${id}\``).join(', ')]),
  )
  return ['| virt-sysprep | here |', '|---|---|', ...rows].join('\n')
}

/**
 * The page with its generated tables as they are to be.
 * @throws Error when the page has no place for one
 */
export function withGeneratedTables(page: string): string {
  return tableBetweenMarkers(
    tableBetweenMarkers(page, virtSysprepTable(), tableMarkers.virtSysprep),
    catalogueTable(),
    tableMarkers.operations,
  )
}

function tableBetweenMarkers(text: string, table: string, [first, last]: readonly [string, string]): string {
  const start = text.indexOf(first)
  const end = text.indexOf(last)
  if (start < 0 || end < start) throw new Error(`The page has no place for the table after "${first}".`)
  return `${text.slice(0, start + first.length)}\n\n${table}\n\n${text.slice(end)}`
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function operationPaths({ actions }: CleaningOperation): string[] {
  return actions.flatMap((action) => actionPaths(action).map((pattern) => describe(pattern, action)))
}

function actionPaths(action: CleaningAction): readonly string[] {
  if ('remove' in action) return action.remove
  if ('empty' in action) return action.empty
  if ('truncate' in action) return action.truncate
  if ('edit' in action) return action.edit
  if ('write' in action) return action.write
  return 'removeAccounts' in action ? accountPlaces : []
}

const accountPlaces = [
  '/etc/{passwd,shadow,group,gshadow,subuid,subgid,sudoers}',
  '{account’s home, mail, cron table, sudo and login state}',
]

function describe(pattern: string, action: CleaningAction): string {
  if ('empty' in action) return `${pattern}/*`
  if ('truncate' in action) return `empties ${pattern}`
  if ('edit' in action) return `edits ${pattern} (${action.editor})`
  return 'write' in action ? `rewrites ${pattern}` : pattern
}

function code(text: string): string {
  return `\`${text}\``
}

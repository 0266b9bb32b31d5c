import { catalogue } from './catalogue.ts'
import type { CleaningAction, CleaningOperation } from './operation.ts'

/** The lines between which `docs/cleaning.md` has the table; what is between them is generated. */
export const tableMarkers = {
  start: '<!-- operations: generated from the catalogue -->',
  end: '<!-- end of operations -->',
} as const

/** The catalogue as a table in Markdown: what each operation does, in which profiles, and where. */
export function catalogueTable(): string {
  const rows = catalogue.map((operation) => {
    const notes = [operation.title, operation.risk ? `*${operation.risk}*` : ''].filter((note) => note !== '')
    const cells = [
      `\`${operation.id}\``,
      operation.default ? 'yes' : 'no',
      operation.minimal ? 'yes' : 'no',
      operation.virtSysprep ? `\`${operation.virtSysprep}\`` : '',
      notes.join(' '),
      operationPaths(operation).map(code).join('<br>'),
    ]
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  })
  return [
    '| operation | default | minimal | virt-sysprep | what it does, and *what may be missed afterwards* | where |',
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n')
}

/**
 * `text` with `table` between the two marker lines.
 * @throws Error when the markers are not there
 */
export function tableBetweenMarkers(text: string, table: string): string {
  const start = text.indexOf(tableMarkers.start)
  const end = text.indexOf(tableMarkers.end)
  if (start < 0 || end < start) throw new Error('The page has no place for the table of operations.')
  return `${text.slice(0, start + tableMarkers.start.length)}\n\n${table}\n\n${text.slice(end)}`
}

function operationPaths({ actions }: CleaningOperation): string[] {
  return actions.flatMap((action) => actionPaths(action).map((pattern) => describe(pattern, action)))
}

function actionPaths(action: CleaningAction): readonly string[] {
  if ('remove' in action) return action.remove
  if ('empty' in action) return action.empty
  if ('truncate' in action) return action.truncate
  return 'edit' in action ? action.edit : action.write
}

function describe(pattern: string, action: CleaningAction): string {
  if ('empty' in action) return `${pattern}/*`
  if ('truncate' in action) return `empties ${pattern}`
  if ('edit' in action) return `edits ${pattern} (${action.editor})`
  return 'write' in action ? `rewrites ${pattern} (${action.content})` : pattern
}

function code(text: string): string {
  return `\`${text}\``
}

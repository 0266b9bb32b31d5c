import { isCollection, isNode, LineCounter, parseDocument, visit } from 'yaml'
import { GuestError } from '../errors.ts'
import {
  findProfileFaults,
  type ProfileDefinition,
  type ProfileFault,
  profileDefinition,
} from './profile-definition.ts'

/**
 * Reads a profile written in YAML. Every fault is told with its line and field.
 * @throws GuestError `CLEANING_PROFILE_INVALID`
 */
export function parseProfile(text: string, { name }: { name: string }): ProfileDefinition {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, uniqueKeys: true })
  const [error] = document.errors
  if (error) throw invalid(name, [`line ${counter.linePos(error.pos[0]).line}: ${firstLine(error.message)}`])
  visit(document, {
    // Not needed here, and a small file can become a large one by them.
    Alias: (_, { range }) => {
      throw invalid(name, [`line ${counter.linePos(range?.[0] ?? 0).line}: Aliases cannot be used here.`])
    },
  })
  const parsed = profileDefinition.safeParse(document.toJS() ?? {})
  const faults: ProfileFault[] = parsed.success ? findProfileFaults(parsed.data) : parsed.error.issues
  if (parsed.success && faults.length === 0) return parsed.data
  throw invalid(
    name,
    faults.map(({ path, message }) => {
      const position = positionOf(document.contents, path)
      const line = position === null ? 1 : counter.linePos(position).line
      return `line ${line}: ${fieldName(path)}${message}`
    }),
  )
}

/** Where the value at a path stands; the nearest one around it where there is none. */
function positionOf(root: unknown, path: readonly PropertyKey[]): number | null {
  let node = root
  let position: number | null = isNode(root) ? (root.range?.[0] ?? null) : null
  for (const key of path) {
    node = isCollection(node) && typeof key !== 'symbol' ? node.get(key, true) : null
    if (!isNode(node)) break
    position = node.range?.[0] ?? position
  }
  return position
}

/** `edit[2].path: `, as people write it. */
function fieldName(path: readonly PropertyKey[]): string {
  if (path.length === 0) return ''
  const parts = path.map((key, index) =>
    typeof key === 'number' ? `[${key}]` : `${index > 0 ? '.' : ''}${String(key)}`,
  )
  return `${parts.join('')}: `
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}

function invalid(name: string, faults: readonly string[]): GuestError {
  const rest = faults.length > 5 ? ` And ${faults.length - 5} more.` : ''
  return new GuestError('CLEANING_PROFILE_INVALID', `${name}: ${faults.slice(0, 5).join('; ')}${rest}`, {
    hint: 'docs/cleaning.md shows what a profile can say.',
  })
}

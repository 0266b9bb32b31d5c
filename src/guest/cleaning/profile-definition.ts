import { z } from 'zod'
import { GuestError } from '../errors.ts'
import { normalisePath } from '../guest-path.ts'
import { catalogue } from './catalogue.ts'
import { parsePatterns } from './pattern.ts'
import { operationsInstead } from './virt-sysprep.ts'
import { compileWildcard } from './wildcard.ts'

const wildcardRule = z.string().min(1)

/** Changes to the lines of files; see `LineRules`. */
const editRule = z
  .strictObject({
    /** A pattern of files. */
    path: z.string(),
    delete: z.array(wildcardRule).default([]),
    replace: z.array(z.strictObject({ line: wildcardRule, with: z.string() })).default([]),
    blocks: z.array(z.strictObject({ from: z.string().min(1), to: z.string().min(1) })).default([]),
    append: z.array(z.string().min(1)).default([]),
  })
  .refine((rule) => rule.delete.length + rule.replace.length + rule.blocks.length + rule.append.length > 0, {
    message: 'says nothing to do; delete, replace, blocks and append are what can be done',
  })

/** A file with a fixed content, made where it is not there; its directory must be. */
const writeRule = z.strictObject({
  path: z.string(),
  content: z.string(),
  /** Permission bits in octal, such as "0600"; those of the file, or 0644, when absent. */
  mode: z
    .string()
    .regex(/^0?[0-7]{3}$/, 'is not a mode in octal, such as "0644"')
    .optional(),
})

/** A profile of cleaning, as a YAML file, a request to the library, or a job has it. */
export const profileDefinition = z.strictObject({
  /** One sentence for people. */
  title: z.string().min(1).optional(),
  /** The profile it builds on: a built-in one, or another definition. */
  extends: z.string().min(1).default('default'),
  /** Ids of operations to add to those of `extends`. */
  enable: z.array(z.string()).default([]),
  disable: z.array(z.string()).default([]),
  /** Patterns of further paths to remove. */
  remove: z.array(z.string()).default([]),
  /** Patterns of further files to empty. */
  truncate: z.array(z.string()).default([]),
  edit: z.array(editRule).default([]),
  write: z.array(writeRule).default([]),
  /** Patterns of paths that stay whatever the operations say. */
  keep: z.array(z.string()).default([]),
})

export type ProfileDefinition = z.infer<typeof profileDefinition>

/** Something that is wrong in a definition, and where. */
export interface ProfileFault {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** What is wrong with a definition beyond its shape: unknown operations, patterns that are none, files that stay alone. */
export function findProfileFaults(definition: ProfileDefinition): ProfileFault[] {
  const faults: ProfileFault[] = []
  const check = (path: PropertyKey[], fault: string | null): void => {
    if (fault !== null) faults.push({ path, message: fault })
  }
  for (const list of ['enable', 'disable'] as const) {
    for (const [index, id] of definition[list].entries()) check([list, index], faultOfOperation(id))
  }
  for (const list of ['remove', 'truncate', 'keep'] as const) {
    for (const [index, pattern] of definition[list].entries()) check([list, index], faultOfPattern(pattern))
  }
  for (const [index, rules] of definition.edit.entries()) {
    const { path, append, replace } = rules
    check(['edit', index, 'path'], faultOfPattern(path) ?? faultOfAccountFile(path))
    for (const [i, text] of append.entries()) check(['edit', index, 'append', i], faultOfLine(text, rules))
    for (const [i, rule] of replace.entries())
      check(['edit', index, 'replace', i, 'with'], faultOfLine(rule.with, rules))
  }
  for (const [index, { path }] of definition.write.entries()) {
    check(['write', index, 'path'], faultOfPath(path) ?? faultOfAccountFile(path))
  }
  return faults
}

/** The files with the passwords. Whoever could write them could set one that is known to everybody who has the profile. */
export const accountFiles: ReadonlySet<string> = new Set(
  ['passwd', 'shadow', 'group', 'gshadow'].flatMap((name) => [`/etc/${name}`, `/etc/${name}-`]),
)

/** Why there is no operation of this id, or `null`. */
export function faultOfOperation(id: string): string | null {
  if (catalogue.some((operation) => operation.id === id)) return null
  const instead = operationsInstead(id)
  return `There is no cleaning operation "${id}".${instead === null ? '' : ` ${instead}`}`
}

function faultOfPattern(pattern: string): string | null {
  try {
    parsePatterns(pattern)
    return null
  } catch (error) {
    if (error instanceof GuestError) return `${error.message} ${error.hint ?? ''}`.trim()
    throw error
  }
}

function faultOfPath(path: string): string | null {
  const isPlain = path !== '/' && normalisePath(path) === path && !/[*?[\]{}]/.test(path)
  return isPlain ? null : `"${path}" is not the absolute path of one file.`
}

function faultOfAccountFile(path: string): string | null {
  if (!accountFiles.has(path)) return null
  return `${path} is not written by profiles, which could set a password that others know. Enable lock-root, password-hashes or user-account instead.`
}

/** A line that the rules would change once more makes every run do something else. */
function faultOfLine(
  text: string,
  { delete: drop, replace, blocks }: z.infer<typeof editRule>,
): string | null {
  if (/[\r\n]/.test(text)) return 'is more than one line.'
  const line = text.trim()
  const next = replace.find((rule) => compileWildcard(rule.line)(line))
  const isChanged =
    drop.some((wildcard) => compileWildcard(wildcard)(line)) ||
    (next !== undefined && next.with !== text) ||
    blocks.some(({ from, to }) => line === from.trim() || line === to.trim())
  return isChanged ? `"${text}" would be changed again by the rules beside it.` : null
}

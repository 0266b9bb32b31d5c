import type { TextLine } from '../text-lines.ts'

/**
 * A change to one kind of file, record by record. Lines it leaves are the very objects it was given; what is not a record
 * it knows it leaves as well. Applied to its own result it changes nothing.
 */
export type Editor = (lines: readonly TextLine[], parameters: EditParameters) => EditResult

export type EditResult =
  | {
      readonly lines: readonly TextLine[]
      /** What was left in the file because its meaning is not sure, as ends of sentences: `has a block without an end`. */
      readonly doubts?: readonly string[]
    }
  /** The file as a whole is not understood and stays as it is. */
  | { readonly strange: string }

/** What an editor has to know beside the file. JSON, and part of the plan. */
export interface EditParameters {
  /** Names of accounts that go. */
  readonly accounts?: readonly string[]
  /** Names of groups that go with them. */
  readonly groups?: readonly string[]
  /** The host name the guest has had. */
  readonly hostName?: string
  /** Mount points whose file systems are in the image. */
  readonly mounted?: readonly string[]
  readonly rules?: LineRules
}

/**
 * Changes to lines that somebody wrote down. Wildcards are those of names (`*`, `?`, `[a-z]`) and stand for a whole line,
 * blanks at its ends aside: they take the same time whatever a guest has in its files, which regular expressions do not.
 */
export interface LineRules {
  /** Wildcards of lines to drop. */
  readonly delete?: readonly string[]
  /** Lines that match are replaced; the first rule that matches counts. */
  readonly replace?: readonly { readonly line: string; readonly with: string }[]
  /** Blocks to drop with the two lines around them, which are given exactly. */
  readonly blocks?: readonly { readonly from: string; readonly to: string }[]
  /** Lines to add at the end where the file has none like them. */
  readonly append?: readonly string[]
}

/** An editor that drops lines, one by one. */
export function dropping(drops: (line: string, parameters: EditParameters) => boolean): Editor {
  return (lines, parameters) => ({ lines: lines.filter(({ text }) => !drops(text, parameters)) })
}

/** An editor that rewrites lines one by one; `null` drops the line. */
export function rewriting(rewrite: (line: string, parameters: EditParameters) => string | null): Editor {
  return (lines, parameters) => ({
    lines: lines.flatMap((line) => {
      const text = rewrite(line.text, parameters)
      if (text === null) return []
      return text === line.text ? [line] : [{ text, end: line.end }]
    }),
  })
}

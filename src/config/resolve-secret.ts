import { readFile } from 'node:fs/promises'
import type { AbortOptions } from '../core/abort.ts'
import { isCancellation } from '../core/errors.ts'
import { runProgram } from '../core/program.ts'
import { ConfigError } from './errors.ts'
import type { Secret } from './secret.ts'

export interface ResolveSecretOptions extends AbortOptions {
  /** What the secret is, for people: `the password of cloud "campus"`. */
  what: string
  /** Asks a person; absent where nobody can be asked. */
  ask?: AskSecret | undefined
}

/** Asks a person for a secret. Gives null when nobody can be asked. */
export type AskSecret = (what: string, options: AbortOptions) => Promise<string | null>

/** Milliseconds a program that gives a secret may take: it may ask a person for a passphrase. */
const commandTimeout = 120_000

/**
 * The value of a secret. It is neither kept nor written anywhere.
 * @throws ConfigError `SECRET_UNAVAILABLE`; the message says where it was looked for and never what was found
 */
export async function resolveSecret(secret: Secret, options: ResolveSecretOptions): Promise<string> {
  const value = await lookUp(secret, options)
  if (value === '') {
    throw new ConfigError('SECRET_UNAVAILABLE', `${capitalised(options.what)} is empty.`)
  }
  return value
}

async function lookUp(secret: Secret, options: ResolveSecretOptions): Promise<string> {
  const { what, signal } = options
  const reference = secret.reference()
  switch (reference.kind) {
    case 'value':
      return reference.value
    case 'env': {
      const value = reference.environment[reference.variable]
      if (value !== undefined) return value
      throw unavailable(what, `the variable ${reference.variable} is not set`)
    }
    case 'file':
      try {
        return firstLine(await readFile(reference.path, { encoding: 'utf8', signal }))
      } catch (error) {
        if (isCancellation(error)) throw error
        throw unavailable(what, `the file ${reference.path} cannot be read`, error)
      }
    case 'command':
      return runCommand(reference.command, options)
    case 'ask': {
      const value = await options.ask?.(what, { signal })
      if (value !== undefined && value !== null) return value
      throw new ConfigError(
        'SECRET_UNAVAILABLE',
        `${capitalised(what)} has to be asked for, and nobody is there.`,
        {
          hint: 'Run it on a terminal, or configure the secret as env:NAME, file:PATH or command:WORDS.',
        },
      )
    }
  }
}

async function runCommand(command: string, { what, signal }: ResolveSecretOptions): Promise<string> {
  const [program, ...programArguments] = splitWords(command)
  if (!program) throw unavailable(what, 'its "command:" names no program')
  try {
    const result = await runProgram(program, programArguments, { timeout: commandTimeout, signal })
    return firstLine(result.stdout)
  } catch (error) {
    if (isCancellation(error)) throw error
    // The error of the program is left out: what it printed may be, or hold, the secret.
    throw unavailable(what, `the program ${program} did not give it`)
  }
}

/** Words apart by blanks; quotes of either kind hold a word together. There is no shell. */
function splitWords(command: string): string[] {
  return [...command.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) =>
    word.replaceAll(/"([^"]*)"|'([^']*)'/g, (_, double: string | undefined, single: string | undefined) => {
      return double ?? single ?? ''
    }),
  )
}

/** Files and programs end their last line; a secret of several lines is none. */
function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? ''
}

function unavailable(what: string, why: string, cause?: unknown): ConfigError {
  return new ConfigError('SECRET_UNAVAILABLE', `${capitalised(what)} is not to be had: ${why}.`, { cause })
}

function capitalised(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}

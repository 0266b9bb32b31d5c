import type { Command } from 'commander'
import type { CleaningInput } from '../../operations/cleaning-input.ts'
import { OperationError } from '../../operations/errors.ts'
import { list, several } from '../session.ts'

export interface CleaningOptions {
  profile: string
  enable?: string[]
  disable?: string[]
  exclude?: string[]
  keep?: string[]
}

/** Adds the options that say what to clean. */
export function addCleaningOptions(command: Command): Command {
  return command
    .option(
      '--profile <name>',
      'what to clean: default (safe to share) or minimal (identity only)',
      'default',
    )
    .option('--enable <ids>', 'operations to run as well (comma-separated)', list)
    .option('--disable <ids>', 'operations to leave out (comma-separated)', list)
    .option('--exclude <glob>', 'also remove these paths of the guest (repeatable)', several)
    .option('--keep <glob>', 'leave these paths of the guest alone (repeatable)', several)
}

export function readCleaningOptions(options: CleaningOptions): CleaningInput {
  return {
    profile: options.profile,
    enable: options.enable ?? [],
    disable: options.disable ?? [],
    exclude: options.exclude ?? [],
    keep: options.keep ?? [],
  }
}

/**
 * The cleaning a command was asked for with `--clean`, or not asked to leave out with `--no-clean`. Saying how to clean and
 * not cleaning would leave what somebody wanted gone.
 * @throws OperationError `INPUT_INVALID`
 */
export function readOptionalCleaning(
  command: Command,
  options: CleaningOptions & { clean?: boolean },
): CleaningInput | null {
  if (options.clean) return readCleaningOptions(options)
  const names = ['profile', 'enable', 'disable', 'exclude', 'keep', 'report']
  const given = names.find((name) => command.getOptionValueSource(name) === 'cli')
  if (!given) return null
  throw new OperationError('INPUT_INVALID', `--${given} is about cleaning, and nothing is to be cleaned.`, {
    hint: 'Ask for cleaning as well, or leave it out.',
  })
}

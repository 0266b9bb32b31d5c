import type { Command } from 'commander'
import type { CleaningInput } from '../../operations/cleaning-input.ts'
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

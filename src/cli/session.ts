import type { Command } from 'commander'
import type { Imagewright } from '../operations/imagewright.ts'
import { askSecret } from './ask-secret.ts'
import { toJson } from './render/json.ts'

/** Options that every command has. */
export interface CommonOptions {
  json?: boolean
  quiet?: boolean
  verbose?: boolean
  config?: string
  keepFailed?: boolean
}

/** Adds the options of every command and its examples. */
export function common(command: Command, examples: readonly string[]): Command {
  return command
    .option('--json', 'print one JSON document on stdout')
    .option('-q, --quiet', 'no progress, no warnings')
    .option('-v, --verbose', 'say more')
    .option('--config <file>', 'configuration file to use')
    .addHelpText('after', `\nExamples:\n${examples.map((example) => `  ${example}`).join('\n')}`)
}

/** Adds the options of a command that runs as a job. */
export function asJob(command: Command): Command {
  return command.option('--keep-failed', 'leave what a failed job made, so that it can be resumed')
}

/** Opens the library with the command line's configuration, and closes it whatever happens. */
export async function withImagewright<T>(
  options: CommonOptions,
  use: (imagewright: Imagewright) => Promise<T>,
): Promise<T> {
  const { Imagewright } = await import('../operations/imagewright.ts')
  const imagewright = await Imagewright.open({
    ...(options.config ? { configPath: options.config } : {}),
    keepFailedJobs: options.keepFailed ?? false,
    ask: askSecret,
  })
  try {
    return await use(imagewright)
  } finally {
    await imagewright.close()
  }
}

/** Prints a result: one JSON document with `--json`, else the text a person reads. */
export function print<T>(options: CommonOptions, result: T, present: (result: T) => string): void {
  const text = options.json ? toJson(result, 2) : present(result)
  if (text !== '') process.stdout.write(`${text}\n`)
}

/** Collects an option that may be given several times. */
export function several(value: string, earlier: string[] = []): string[] {
  return [...earlier, value]
}

/** A comma-separated list that may also be given several times. */
export function list(value: string, earlier: string[] = []): string[] {
  return [...earlier, ...value.split(',').filter((item) => item !== '')]
}

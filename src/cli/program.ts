import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { OperationError } from '../operations/errors.ts'
import { addCleanCommand } from './commands/clean.ts'
import { addCloudsCommand } from './commands/clouds.ts'
import { addConvertCommand } from './commands/convert.ts'
import { addCreateCommand } from './commands/create.ts'
import { addExportCommand } from './commands/export.ts'
import { addImagesCommand } from './commands/images.ts'
import { addInspectCommand } from './commands/inspect.ts'
import { addInstancesCommand } from './commands/instances.ts'
import { addJobsCommand } from './commands/jobs.ts'
import { addMigrateCommand } from './commands/migrate.ts'
import { addSnapshotCommand } from './commands/snapshot.ts'
import { exitCodeOf, exitCodes, printError } from './failure.ts'

const overview = `
What people come for:
  imagewright create local:web1 "web golden"       an instance becomes a clean, verified image
  imagewright export local:web1 web.qcow2 --clean  ... or a file
  imagewright migrate local:"web golden" campus    to another cloud, as one verified stream
  imagewright inspect disk.qcow2                   what is in an image, and is it safe
  imagewright clean disk.qcow2 --dry-run           what cleaning would remove, path by path
  imagewright convert disk.raw disk.qcow2          another format, at the speed of the disk
  imagewright images list local                    the image service of a cloud
  imagewright jobs list                            what runs, what was interrupted, how to go on

Every command has --help with examples.`

/** Runs one command line; gives the exit code. */
export async function runCommandLine(programArguments: readonly string[]): Promise<number> {
  const program = buildProgram()
  try {
    if (programArguments.length === 0) {
      program.outputHelp()
      return exitCodes.done
    }
    await program.parseAsync(programArguments, { from: 'user' })
    // A command whose result is bad news has said so here after printing it.
    return typeof process.exitCode === 'number' ? process.exitCode : exitCodes.done
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.done
    const json = programArguments.includes('--json')
    if (error instanceof CommanderError) {
      // People have been told on stderr by the parser itself.
      if (json) await printError(asUsageError(error), { json, verbose: false })
      return exitCodes.usage
    }
    const verbose = programArguments.some((argument) => argument === '--verbose' || argument === '-v')
    await printError(error, { json, verbose })
    return exitCodeOf(error)
  }
}

/** The tree of commands. */
export function buildProgram(): Command {
  const program = new Command('imagewright')
    .description('VM images, any cloud to any cloud: capture, clean, convert, move and prove them.')
    .version(readVersion(), '-V, --version')
    .addHelpText('after', overview)
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
  addCreateCommand(program)
  addSnapshotCommand(program)
  addExportCommand(program)
  addMigrateCommand(program)
  addConvertCommand(program)
  addInspectCommand(program)
  addCleanCommand(program)
  addImagesCommand(program)
  addInstancesCommand(program)
  addCloudsCommand(program)
  addJobsCommand(program)
  return program
}

function asUsageError({ message }: CommanderError): OperationError {
  return new OperationError('INPUT_INVALID', message.replace(/^error: /, ''), {
    hint: 'Every command has --help with examples.',
  })
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  if (typeof manifest === 'object' && manifest && 'version' in manifest) return String(manifest.version)
  throw new Error('package.json has no version')
}

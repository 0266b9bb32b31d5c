import { dirname } from 'node:path'
import type { AbortOptions } from '../../../core/abort.ts'
import { CoreError } from '../../../core/errors.ts'
import { type ProgramResult, runProgram } from '../../../core/program.ts'
import { GuestError } from '../../errors.ts'
import { damaged } from './damaged.ts'

const timeout = 10 * 60 * 1000
const packageName = 'e2fsprogs'

/** Exit codes of e2fsck(8). */
const fsckCorrected = 1
const fsckCorrectedReboot = 2
const fsckUncorrected = 4

/**
 * Replays the journal and does nothing else. `e2fsck -E journal_only` would go on to the list of deleted open files,
 * whose blocks are not in the working file yet. Checksums of metadata are not verified (-n): before the replay they
 * need not match.
 */
export async function replayJournal(path: string, options: AbortOptions): Promise<void> {
  try {
    await runDebugfs(path, ['journal_run'], { ...options, ignoreChecksums: true })
  } catch (error) {
    if (error instanceof GuestError) throw damaged('its journal cannot be replayed', error)
    throw error
  }
}

/**
 * What a starting guest does: releases files that were deleted while open, corrects the totals in the super block, and
 * looks no further when the file system is marked clean. Never decides anything that needs a person.
 */
export async function recover(
  path: string,
  { signal, force }: AbortOptions & { force: boolean },
): Promise<void> {
  await repair(path, force ? ['-f', '-p'] : ['-p'], 'it cannot be recovered without a repair', signal)
}

/** @throws GuestError `FILESYSTEM_DAMAGED` with what e2fsck found first */
export async function checkFilesystem(path: string, { signal }: AbortOptions): Promise<void> {
  const result = await runProgram('e2fsck', ['-f', '-n', path], {
    timeout,
    signal,
    package: packageName,
    acceptedExitCodes: [fsckCorrected, fsckUncorrected, fsckUncorrected | fsckCorrected],
  })
  if (result.exitCode !== 0) throw damaged(`e2fsck finds errors (${findings(result)})`)
}

/**
 * Runs commands of debugfs(8). Its exit code says nothing about them: every message on stderr is a failure.
 * Arguments here are numbers and names of ours, never text of the guest.
 * @returns what it printed
 */
export async function runDebugfs(
  path: string,
  commands: readonly string[],
  { signal, ignoreChecksums = false }: AbortOptions & { ignoreChecksums?: boolean },
): Promise<string> {
  const flags = ignoreChecksums ? ['-n', '-w'] : ['-w']
  const { stdout, stderr } = await runProgram('debugfs', [...flags, '-f', '-', path], {
    timeout,
    signal,
    package: packageName,
    input: `${commands.join('\n')}\n`,
    // Sources of new files are named relative to it: a path of the host never becomes part of a command.
    workingDirectory: dirname(path),
    maximumOutput: 64 * 1024 * 1024,
  })
  const complaints = stderr.split('\n').filter((line) => line !== '' && !/^debugfs \d/.test(line))
  if (complaints.length > 0) {
    throw new GuestError(
      'FILESYSTEM_EDIT_FAILED',
      `debugfs could not change the file system: ${complaints[0]}`,
      {
        details: { complaints: complaints.slice(0, 5) },
      },
    )
  }
  return stdout
}

async function repair(
  path: string,
  programArguments: readonly string[],
  problem: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await runProgram('e2fsck', [...programArguments, path], {
      timeout,
      signal,
      package: packageName,
      acceptedExitCodes: [fsckCorrected, fsckCorrectedReboot, fsckCorrected | fsckCorrectedReboot],
    })
  } catch (error) {
    if (error instanceof CoreError && error.code === 'PROGRAM_FAILED') throw damaged(problem, error)
    throw error
  }
}

/** The first lines that are not e2fsck's headings or questions. */
function findings({ stdout, stderr }: ProgramResult): string {
  const lines = `${stdout}\n${stderr}`.split('\n').filter((line) => {
    return line.trim() !== '' && !/^(Pass \d|e2fsck \d|Fix\? no|.*WARNING: Filesystem still)/.test(line)
  })
  return lines.slice(0, 3).join(' ').slice(0, 400)
}

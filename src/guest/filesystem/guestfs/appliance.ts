import { randomUUID } from 'node:crypto'
import type { AbortOptions } from '../../../core/abort.ts'
import { type Conversation, startConversation } from '../../../core/conversation.ts'
import { CoreError } from '../../../core/errors.ts'
import { GuestError } from '../../errors.ts'
import { command } from './command.ts'

/**
 * The virtual machine of libguestfs, in which file systems are mounted that the host's kernel must not touch. It has its own
 * kernel and programs, disks over NBD, no network, and does what guestfish is told; nothing of the guest is run in it.
 *
 * One machine serves all file systems of a guest, and one guestfish serves it for its whole life: a command is a message, not
 * a process.
 */
export interface Appliance {
  /**
   * Runs commands in order. The first that fails ends the machine.
   * @returns what they printed, each byte a character
   * @throws GuestError `LIBGUESTFS_FAILED` with what libguestfs said
   */
  run(commands: readonly string[], timeout?: number): Promise<string>
  /** Runs commands that may fail, all of them; the machine goes on. The first message, or `null` when all succeeded. */
  attempt(commands: readonly string[], timeout?: number): Promise<string | null>
  close(): Promise<void>
}

export interface StartApplianceOptions extends AbortOptions {
  /** Unix sockets at which the disks are served; they become /dev/sda, /dev/sdb and so on. */
  sockets: readonly string[]
  /** A folder for what guestfish looks for in a home. */
  workFolder: string
}

/** A healthy KVM takes a few seconds; on a busy machine emulation takes minutes. */
const launchTimeouts = { accelerated: 60_000, emulated: 600_000 } as const
const commandTimeout = 20 * 60_000
/** Megabytes: enough for the checkers of large file systems. */
const memory = 1280

/**
 * Starts it, with KVM where that works and with emulation where it does not.
 * @throws GuestError `LIBGUESTFS_MISSING` | `LIBGUESTFS_FAILED`
 */
export async function startAppliance(options: StartApplianceOptions): Promise<Appliance> {
  // /dev/kvm opens on many hosts where guests then do not run; whoever has chosen is left alone.
  const chosen = process.env.LIBGUESTFS_BACKEND_SETTINGS
  if (chosen !== undefined) return launch(options, { settings: chosen, timeout: launchTimeouts.emulated })
  try {
    return await launch(options, { settings: '', timeout: launchTimeouts.accelerated })
  } catch (error) {
    const isOurs = error instanceof GuestError && error.code === 'LIBGUESTFS_FAILED'
    if (!isOurs || options.signal?.aborted) throw error
    return launch(options, { settings: 'force_tcg', timeout: launchTimeouts.emulated })
  }
}

async function launch(
  { sockets, workFolder, signal }: StartApplianceOptions,
  { settings, timeout }: { settings: string; timeout: number },
): Promise<Appliance> {
  const conversation = startConversation('guestfish', [], {
    environment: {
      // libvirt would want its daemon, and may change who QEMU runs as.
      LIBGUESTFS_BACKEND: 'direct',
      LIBGUESTFS_BACKEND_SETTINGS: settings,
      LIBGUESTFS_DEBUG: '0',
      LIBGUESTFS_TRACE: '0',
      HOME: workFolder,
    },
    maximumAnswer: 256 * 1024 * 1024,
    signal,
  })
  const appliance = converse(conversation)
  const drives = sockets.map((socket) =>
    command(
      'add-drive',
      ...['', 'format:raw', 'protocol:nbd', `server:unix:${socket}`, 'discard:enable', 'cachemode:unsafe'],
    ),
  )
  try {
    await appliance.run(
      [`set-memsize ${memory}`, 'set-network false', 'set-smp 1', ...drives, 'run', 'set-autosync false'],
      timeout,
    )
    return appliance
  } catch (error) {
    await appliance.close()
    throw error
  }
}

function converse(conversation: Conversation): Appliance {
  async function ask(
    commands: readonly string[],
    timeout = commandTimeout,
  ): Promise<{ stdout: string; stderr: string }> {
    const end = `imagewright-${randomUUID()}\n`
    try {
      return await conversation.ask(`${[...commands, `echo ${end.trimEnd()}`].join('\n')}\n`, {
        end,
        timeout,
      })
    } catch (error) {
      throw whatFailed(error)
    }
  }
  return {
    run: async (commands, timeout) => (await ask(commands, timeout)).stdout,
    async attempt(commands, timeout) {
      // With a dash in front guestfish goes on after a failure, of which only the message tells.
      const { stderr } = await ask(
        commands.map((line) => `-${line}`),
        timeout,
      )
      return stderr.trim() === '' ? null : complaint(stderr)
    },
    close: () => conversation.close(),
  }
}

function whatFailed(error: unknown): unknown {
  if (!(error instanceof CoreError) || error.code === 'CANCELLED') return error
  if (error.code === 'PROGRAM_MISSING') {
    return new GuestError(
      'LIBGUESTFS_MISSING',
      'libguestfs is not installed: apt-get install libguestfs-tools libguestfs-xfs (Debian, Ubuntu), dnf install libguestfs libguestfs-xfs (Fedora, RHEL).',
      {
        hint: 'It is needed to look into xfs, btrfs and f2fs. ext2, ext3 and ext4 do without.',
        cause: error,
      },
    )
  }
  return new GuestError('LIBGUESTFS_FAILED', `libguestfs failed: ${complaint(error.message)}`, {
    cause: error,
  })
}

/** What libguestfs says first, in one line, without what it always says. */
function complaint(text: string): string {
  const lines = text.split('\n').flatMap((line) => /libguestfs: error: (.*)/.exec(line)?.[1] ?? [])
  return (lines[0] ?? text.split('\n')[0] ?? '').replace(/[^\x20-\x7e]/g, '?').slice(0, 400)
}

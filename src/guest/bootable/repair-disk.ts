import { gptTypes } from '../../disk/partition/partition-types.ts'
import { GuestError } from '../errors.ts'
import type { Guest } from '../guest.ts'
import type { GuestWarning } from '../warnings.ts'
import type { BootableOptions, PreparedBootable } from './bootable.ts'
import { firmwaresOf } from './disk-layout.ts'
import { examineBios, type FirmwareState } from './examine-bios.ts'
import { examineUefi, type UefiState } from './examine-uefi.ts'
import { type DiskStart, findStart } from './find-start.ts'
import type { BootFirmware } from './grub-modules.ts'
import { mendDisk } from './mend-disk.ts'

/**
 * An ordinary disk that boots: as it is where nothing is missing, else with what its firmware looks for put in place.
 * @throws GuestError why that cannot be
 */
export async function repairDisk(guest: Guest, options: BootableOptions): Promise<PreparedBootable> {
  refuseForOrdinaryDisk(options)
  const { disk, partitionTable } = guest
  const { signal } = options
  const start = await findStart(guest, { signal })
  const bios = withoutConfig(await examineBios(disk, { signal }), start)
  const uefi = await examineUefi(disk, partitionTable, { signal })
  const missing = missingFirmware(guest, { bios, uefi }, options)
  const ready = firmwaresOf('both').filter((name) => (name === 'bios' ? bios : uefi).state === 'ready')
  const scheme = partitionTable.scheme === 'gpt' ? 'gpt' : 'mbr'
  const count = partitionTable.partitions.length
  const table = `a disk with ${count} ${count === 1 ? 'partition' : 'partitions'} (${scheme.toUpperCase()})`
  const remarks = partitionTable.problems.map(({ message }) => message)
  const described = {
    scheme,
    kernel: start.kernel,
    findings: [table, ...remarks, bios.finding, uefi.finding, ...start.findings],
    warnings: [...start.warnings, ...codeWarnings(bios)],
  } as const
  if (missing.length > 0) return mendDisk(guest, { options, start, uefi, missing, ready, described })
  return {
    report: { ...described, action: 'none', firmware: ready, size: disk.size, partitions: [], changes: [] },
    make: async () => disk,
  }
}

function codeWarnings({ state, finding }: FirmwareState): GuestWarning[] {
  return state === 'unknown' ? [{ code: 'BOOT_CODE_UNKNOWN', message: `${finding}.` }] : []
}

/** @throws GuestError for what is about disks that are made around a file system */
function refuseForOrdinaryDisk({ kernel, growTo }: BootableOptions): void {
  if (!kernel?.isSuggestion && kernel) {
    throw new GuestError(
      'BOOT_KERNEL_UNUSABLE',
      'The disk has partitions and starts by itself, so no separate kernel can be used.',
      {
        hint: 'Leave --kernel and --ramdisk out.',
      },
    )
  }
  if (growTo !== null) {
    throw new GuestError(
      'BOOT_NO_ROOM',
      'Only a disk that is made around a file system can be given a size.',
      {
        hint: 'Leave --grow-to out; a cloud gives an instance a larger disk by itself.',
      },
    )
  }
}

/** GRUB without its configuration ends at its prompt. */
function withoutConfig(state: FirmwareState, start: DiskStart): FirmwareState {
  if (state.state !== 'ready' || !state.needsGrubConfig || start.isConfigured) return state
  return { ...state, state: 'missing', finding: `${state.finding}, and no grub.cfg` }
}

/**
 * Of what was asked for, what is missing. Where nothing was asked for, a disk is mended for the machines that it is laid out for,
 * or, where it starts in none and is laid out for none, for a BIOS.
 */
function missingFirmware(
  guest: Guest,
  { bios, uefi }: { bios: FirmwareState; uefi: UefiState },
  { firmware }: BootableOptions,
): readonly BootFirmware[] {
  const states = { bios, uefi }
  const isMissing = (name: BootFirmware) => states[name].state === 'missing'
  if (firmware !== null) return firmwaresOf(firmware).filter(isMissing)
  const { scheme, partitions } = guest.partitionTable
  const hasCorePlace = partitions.some(({ type }) => type === gptTypes.biosBoot)
  const laidOut = { bios: scheme === 'gpt' ? hasCorePlace : isMissing('uefi'), uefi: uefi.system !== null }
  const missing = firmwaresOf('both').filter((name) => laidOut[name] && isMissing(name))
  return missing.length === 0 && isMissing('bios') && isMissing('uefi') ? ['bios'] : missing
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { AbortOptions } from '../core/abort.ts'
import { MiB } from '../core/bytes.ts'
import { ImagewrightError, isCancellation } from '../core/errors.ts'
import type { Disk } from '../disk/disk.ts'
import { type OutputTraits, outputTraits } from '../disk/output-traits.ts'
import type { Appliance } from '../disk/ova/appliance.ts'
import type { ApplianceOptions } from '../disk/ova/appliance-options.ts'
import { guestOsType } from '../disk/ova/guest-os-type.ts'
import { type DiskBus, defaultMachine, type MachineDescription, type NicModel } from '../disk/ova/machine.ts'
import type { OutputFormat } from '../disk/write-disk.ts'
import { readArchitecture } from '../guest/inspect/architecture.ts'
import { readBoot } from '../guest/inspect/bootloader.ts'
import { readOs } from '../guest/inspect/os-release.ts'
import type { MachineInput } from './machine-input.ts'
import { withGuest } from './with-guest.ts'

export interface ApplianceFacts extends AbortOptions {
  /** Of the file to be written. */
  path: string
  wishes: MachineInput
  /** What the source said about itself, when it was an appliance. */
  source: Appliance | null
  /** A name for people, where the source has one. */
  name?: string | undefined
  /** Lines on where the disk comes from. */
  provenance: readonly string[]
}

/** Whether a container of this format is one. */
export function isAppliance(format: OutputFormat): boolean {
  const traits: OutputTraits = outputTraits[format]
  return traits.isAppliance ?? false
}

/**
 * What an appliance of this disk says: what was wished, else what an appliance it was read from said, else what the guest
 * inside shows. Looks into the guest without changing it.
 */
export async function describeAppliance(disk: Disk, facts: ApplianceFacts): Promise<ApplianceOptions> {
  const { path, wishes, source, name, provenance, signal } = facts
  const { memory, annotation, manifest, ...chosen } = wishes
  const lines = annotation?.split('\n') ?? annotationOf(source)
  const machine: MachineDescription = {
    ...defaultMachine,
    name: name ?? (basename(path).replace(/\.[^.]*$/, '') || defaultMachine.name),
    ...(await machineOfGuest(disk, { signal })),
    ...machineOfAppliance(source),
    ...chosen,
    ...(memory === undefined ? {} : { memory: memory * MiB }),
    annotation: [...lines, ...provenance],
  }
  const algorithm = manifest ?? source?.manifest?.algorithms[0]
  return { machine, ...(algorithm ? { manifest: algorithm } : {}) }
}

/** A disk with an EFI system partition that no BIOS could start is one for UEFI. */
async function machineOfGuest(
  disk: Disk,
  options: AbortOptions,
): Promise<Partial<Pick<MachineDescription, 'os' | 'firmware'>>> {
  const workFolder = await mkdtemp(join(tmpdir(), 'imagewright-'))
  try {
    return await withGuest(disk, { workFolder, ...options }, async (guest) => {
      const { efi, bios } = await readBoot(guest, guest.tree, options)
      const firmware = efi && bios === null ? 'uefi' : 'bios'
      if (!guest.tree) return { firmware }
      const os = await readOs(guest.tree, options)
      const architecture = await readArchitecture(guest.tree, options)
      return {
        firmware,
        os: guestOsType({
          ids: [os.id, ...os.idLike],
          version: os.versionId,
          architecture,
          description: os.prettyName,
        }),
      }
    })
  } catch (error) {
    // What cannot be looked into is still a disk that can be exported.
    if (!(error instanceof ImagewrightError) || isCancellation(error)) throw error
    return {}
  } finally {
    await rm(workFolder, { recursive: true, force: true })
  }
}

/** As far as it said so, in words that are known; what it called itself stays. */
function machineOfAppliance(source: Appliance | null): Partial<MachineDescription> {
  const [machine] = source?.machines ?? []
  if (!machine) return {}
  const { name, cpus, memory, firmware, version, vendor, nics, disks } = machine
  const [nic] = nics
  const diskBus = busOf(disks[0]?.controller ?? null)
  const model = nic === undefined ? (disks.length > 0 ? 'none' : null) : nicOf(nic.model)
  return {
    ...(name === '' ? {} : { name }),
    ...(cpus ? { cpus } : {}),
    ...(memory ? { memory } : {}),
    ...(firmware ? { firmware } : {}),
    ...(diskBus ? { diskBus } : {}),
    ...(model ? { nic: model } : {}),
    version,
    vendor,
  }
}

/** Without what an earlier export said about that one. */
function annotationOf(source: Appliance | null): string[] {
  const lines = source?.machines[0]?.annotation?.split('\n') ?? []
  return lines.filter((line) => !/^(?:Made by Imagewright from|Content of the disk, SHA-256:) /.test(line))
}

function busOf(controller: string | null): DiskBus | null {
  const word = controller?.toLowerCase() ?? ''
  if (/ahci|sata/.test(word)) return 'sata'
  if (/nvme/.test(word)) return 'nvme'
  if (/virtualscsi|pvscsi/.test(word)) return 'pvscsi'
  if (/scsi|lsilogic|buslogic/.test(word)) return 'scsi'
  return /ide|piix|ich/.test(word) ? 'ide' : null
}

function nicOf(model: string | null): NicModel | null {
  const word = model?.toLowerCase() ?? ''
  if (word === 'e1000e') return 'e1000e'
  if (word.startsWith('e1000')) return 'e1000'
  if (word.startsWith('vmxnet')) return 'vmxnet3'
  return word.startsWith('pcnet') ? 'pcnet' : null
}

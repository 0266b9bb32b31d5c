import { formatSize } from '../../core/bytes.ts'
import type { SafetyVerdict } from '../../disk/safety/verdict.ts'
import type { GuestInspection, GuestSystem } from '../../guest/inspect/inspect-guest.ts'
import type { Inspection } from '../../operations/inspect-thing.ts'
import { presentAppliance } from './appliance.ts'
import { presentAudit } from './audit.ts'
import { printable } from './printable.ts'
import { properties, table } from './table.ts'

export function presentInspection(inspection: Inspection, { verbose }: { verbose: boolean }): string {
  const { reference, format, size, virtualSize, dataSize, safety, appliance, guest, guestProblem } =
    inspection
  const parts = [
    properties([
      ['image', reference],
      ['format', safety.subformat ? `${format}, ${safety.subformat}` : format],
      ['wrapped in', safety.wrapping.join(', ') || null],
      ['file', formatSize(size)],
      ['disk', virtualSize === null ? null : formatSize(virtualSize)],
      ['data', dataSize === null ? null : formatSize(dataSize)],
      ['safety', safety.accepted ? 'accepted' : 'REFUSED'],
    ]),
    presentChecks(safety, { verbose }),
  ]
  if (appliance) parts.push(presentAppliance(appliance, inspection.manifest))
  if (guest) parts.push(presentGuest(guest))
  if (inspection.secrets) parts.push(presentAudit(inspection.secrets))
  if (guestProblem)
    parts.push(`The inside cannot be shown: ${printable(guestProblem.message)} [${guestProblem.code}]`)
  return parts.filter((part) => part !== '').join('\n\n')
}

/** Everything a check objected to, or every check. */
function presentChecks({ checks }: SafetyVerdict, { verbose }: { verbose: boolean }): string {
  const shown = verbose ? checks : checks.filter(({ outcome }) => outcome !== 'passed')
  if (shown.length === 0) return ''
  return table(
    ['CHECK', 'OUTCOME', 'CODE', 'WHAT'],
    shown.map(({ name, outcome, code, message }) => [name, outcome, code ?? '', message]),
  )
}

function presentGuest({
  partitionScheme,
  volumes,
  boot,
  system,
  obstacles,
  warnings,
}: GuestInspection): string {
  const parts = [
    table(
      ['PARTITION', 'AT', 'SIZE', 'USED', 'HOLDS', 'LABEL', 'MOUNTED AT'],
      volumes.map(({ number, offset, length, used, filesystem, partitionType, label, mountPoint }) => [
        number === null ? 'none' : String(number),
        formatSize(offset),
        formatSize(length),
        used === null ? '-' : formatSize(used),
        filesystem ?? (partitionType || 'unknown'),
        label,
        mountPoint ?? '-',
      ]),
    ),
    system ? presentSystem(system) : 'No operating system was found.',
    properties([
      ['partition table', partitionScheme],
      [
        'boot loader',
        [...boot.loaders, ...(boot.efi ? ['EFI system partition'] : [])].join(', ') || 'none found',
      ],
    ]),
  ]
  const remarks = [
    ...obstacles.map(({ code, message }) => `It cannot be cleaned: ${printable(message)} [${code}]`),
    ...warnings.map(({ code, message }) => `warning: ${printable(message)} [${code}]`),
  ]
  if (remarks.length > 0) parts.push(remarks.join('\n'))
  return parts.join('\n\n')
}

function presentSystem(system: GuestSystem): string {
  const { os, init, packages, accounts, homes, cloudInit, ssh } = system
  const people = homes.filter(({ person }) => person).map(({ path }) => path)
  return properties([
    ['system', os.prettyName],
    ['architecture', system.architecture],
    ['host name', system.hostname],
    ['time zone', system.timeZone],
    ['init', init.version === null ? init.name : `${init.name} ${init.version}`],
    ['packages', packages.manager ? `${packages.count ?? 'some'} (${packages.manager})` : null],
    ...system.kernels.map(({ version, initramfs }): [string, string] => [
      'kernel',
      `${version}${initramfs ? '' : ', without initramfs'}`,
    ]),
    ['accounts', `${accounts.length}, homes ${people.join(', ') || 'none'}`],
    ['cloud-init', cloudInit.installed ? (cloudInit.enabled ? 'yes' : 'switched off') : 'no'],
    [
      'ssh server',
      ssh.server ? `yes, host keys made by ${ssh.hostKeysMadeBy.join(', ') || 'nothing'}` : 'no',
    ],
  ])
}

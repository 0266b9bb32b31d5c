import { formatSize } from '../../core/bytes.ts'
import type { CleaningOperation } from '../../guest/cleaning/operation.ts'
import type { CleaningPlan } from '../../guest/cleaning/plan.ts'
import type { CleaningReport } from '../../guest/cleaning/report.ts'
import { summariseAudit } from './audit.ts'
import { printable } from './printable.ts'
import { table } from './table.ts'

/** What a cleaning did, one line per operation that had something to do. */
export function presentReport({ profile, operations, warnings, audit }: CleaningReport): string {
  const busy = operations.filter(({ paths }) => paths > 0)
  const lines =
    busy.length === 0
      ? [`Cleaned with profile ${profile}: there was nothing to do.`]
      : [
          `Cleaned with profile ${profile}:`,
          table(
            ['OPERATION', 'PATHS', 'SIZE', 'WHAT'],
            busy.map(({ id, paths, bytes, title }) => [id, String(paths), formatSize(bytes), title]),
          ),
        ]
  if (audit) lines.push(summariseAudit(audit))
  for (const { code, message } of warnings) lines.push(`warning: ${printable(message)} [${code}]`)
  return lines.join('\n')
}

/** Everything a cleaning would do, path by path. */
export function presentPlan({ profile, entries, problems, warnings }: CleaningPlan): string {
  const total = entries.reduce((sum, { bytes }) => sum + bytes, 0)
  const lines =
    entries.length === 0
      ? [`Profile ${profile}: there is nothing to clean.`]
      : [
          table(
            ['ACTION', 'SIZE', 'OPERATION', 'PATH'],
            entries.map(({ action, bytes, operation, path }) => [action, formatSize(bytes), operation, path]),
          ),
          `\n${entries.length} paths, ${formatSize(total)}, with profile ${profile}. Nothing has been changed.`,
        ]
  for (const { operation, path, message } of problems) {
    lines.push(`cannot be cleaned: ${printable(path)} (${operation}): ${printable(message)}`)
  }
  for (const { code, message } of warnings) lines.push(`warning: ${printable(message)} [${code}]`)
  return lines.join('\n')
}

/** The catalogue with what each profile runs, and what may be missed afterwards. */
export function presentOperations(
  operations: readonly (CleaningOperation & { readonly profiles: readonly string[] })[],
): string {
  return table(
    ['OPERATION', 'PROFILES', 'WHAT'],
    operations.map((operation) => [
      operation.id,
      operation.profiles.join(', ') || '-',
      operation.risk === undefined ? operation.title : `${operation.title} ${operation.risk}`,
    ]),
  )
}

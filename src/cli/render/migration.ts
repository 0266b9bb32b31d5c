import type { MigrateImageResult } from '../../operations/migrate-image.ts'
import type { MigratePlan } from '../../operations/migrate-plan.ts'
import { isReconciled } from '../../operations/reconcile-image.ts'
import { printable } from './printable.ts'
import { presentStored } from './stored-image.ts'
import { properties } from './table.ts'

export function presentMigratePlan(plan: MigratePlan): string {
  const { source, target, migration } = plan
  const lines = [
    `${source.cloud}:${printable(source.name)} (${source.kind} ${source.id}) to ${target.cloud}:${printable(target.name)}. This would:`,
    ...plan.steps.map((step, index) => `  ${index + 1}. ${printable(step)}`),
  ]
  // What tells how the source was made goes without saying.
  const dropped = Object.entries(migration?.copy.dropped ?? {}).filter(
    ([name]) => !/^imagewright_/.test(name),
  )
  if (dropped.length > 0) {
    lines.push('', 'Properties that stay behind:')
    for (const [name, because] of dropped) lines.push(`  ${printable(name)}: ${because}`)
  }
  return lines.join('\n')
}

export function presentMigrated(result: MigrateImageResult): string {
  const { source, cloud, image, stored, reconciled, replaced, snapshot } = result
  const from = properties([
    [source.kind, `${source.cloud}:${source.name} (${source.id})`],
    ['snapshot', snapshot && `${snapshot.id}, ${snapshot.kept ? 'kept' : 'released'}`],
    ['replaced', replaced],
  ])
  if (stored) return `${from}\n${presentStored(stored)}`
  const what =
    reconciled && isReconciled(reconciled) ? 'nothing to change' : 'brought to the state of its source'
  return `${from}\n${properties([
    ['image', `${cloud}:${image.name}`],
    ['id', image.id],
    ['data', 'there already, the same'],
    ['state', what],
  ])}`
}

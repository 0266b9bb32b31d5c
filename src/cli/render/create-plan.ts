import type { CreatePlan } from '../../operations/create-plan.ts'
import { printable } from './printable.ts'

export function presentCreatePlan(plan: CreatePlan): string {
  const { instance, interruption, quiesce } = plan
  const lines = [
    `${instance.cloud}:${printable(instance.name)} (${instance.id}) is ${instance.status}. This would:`,
    ...plan.steps.map((step, index) => `  ${index + 1}. ${printable(step)}`),
  ]
  if (interruption === 'restart') lines.push('The snapshot restarts the instance.')
  if (interruption === 'ends-instance') lines.push('The snapshot ends the instance for good.')
  if (!quiesce) lines.push('This cloud cannot freeze the file systems while the snapshot is taken.')
  if (plan.cleaning) {
    lines.push('', `Cleaning operations (profile ${plan.cleaning.profile}):`)
    for (const { id, title } of plan.cleaning.operations) lines.push(`  ${id}: ${title}`)
  }
  return lines.join('\n')
}

import { type OutputTraits, outputTraits } from '../disk/output-traits.ts'
import type { OutputFormat } from '../disk/write-disk.ts'
import { OperationError } from './errors.ts'

/** @throws OperationError `INPUT_INVALID` for an option that the format does not have */
export function checkWriteOptions({
  format,
  subformat,
  compression,
  clusterSize,
  machine,
}: {
  format: OutputFormat
  subformat?: string | undefined
  compression?: string | undefined
  clusterSize?: number | undefined
  machine?: object | undefined
}): void {
  const traits: OutputTraits = outputTraits[format]
  requireOneOf(traits.subformats, { value: subformat, what: `${format} has no subformat` })
  requireOneOf(traits.compressions, { value: compression, what: `${format} has no compression` })
  if (clusterSize !== undefined && !traits.clusterSize)
    refuse(`The format ${format} has no cluster size.`, [])
  if (machine && Object.keys(machine).length > 0 && !traits.isAppliance)
    refuse(`The format ${format} says nothing about a machine.`, [])
}

function requireOneOf(
  allowed: readonly string[],
  { value, what }: { value: string | undefined; what: string },
): void {
  if (value === undefined || allowed.includes(value)) return
  refuse(`The format ${what} ${value}.`, allowed)
}

function refuse(message: string, allowed: readonly string[]): never {
  throw new OperationError('INPUT_INVALID', message, {
    hint:
      allowed.length > 0 ? `It has: ${allowed.join(', ')}.` : 'Leave the option out, or use another format.',
  })
}

import { OperationError } from '../../operations/errors.ts'

/**
 * Refuses options that mean nothing, or would be mixed with the data, when an image goes to stdout.
 * @throws OperationError `INPUT_INVALID`
 */
export function refuseWithStdout<Options extends object>(
  options: Options,
  names: readonly (keyof Options & string)[],
): void {
  const given = names.find((name) => options[name])
  if (!given) return
  throw new OperationError('INPUT_INVALID', `--${given} does not go with an output to stdout.`, {
    hint: 'Write to a file, or leave it out.',
  })
}

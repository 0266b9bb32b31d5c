import { OperationError } from '../../operations/errors.ts'

/**
 * Refuses options that need to look at an image before it is sent, when it comes from stdin.
 * @throws OperationError `INPUT_INVALID`
 */
export function refuseWithStdin<Options extends object>(
  options: Options,
  names: readonly (keyof Options & string)[],
): void {
  const given = names.find((name) => options[name])
  if (!given) return
  const option = given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  throw new OperationError('INPUT_INVALID', `--${option} does not go with an image from stdin.`, {
    hint: 'What comes from stdin is stored as it is. Write it to a file first, or leave the option out.',
  })
}

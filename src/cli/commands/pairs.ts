import { OperationError } from '../../operations/errors.ts'

/**
 * `key=value` arguments as a record.
 * @throws OperationError `INPUT_INVALID`
 */
export function readPairs(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) {
        throw new OperationError('INPUT_INVALID', `"${pair}" is not of the form key=value.`, {
          hint: 'For example: --property os_distro=debian',
        })
      }
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}

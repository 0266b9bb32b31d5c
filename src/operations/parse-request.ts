import { z } from 'zod'
import { OperationError } from './errors.ts'

/**
 * What a caller of the library asked for, checked and with its defaults.
 * @throws OperationError `INPUT_INVALID` naming what is wrong
 */
export function parseRequest<T extends z.ZodType>(schema: T, request: unknown): z.output<T> {
  const parsed = schema.safeParse(request)
  if (parsed.success) return parsed.data
  throw new OperationError('INPUT_INVALID', `The request is not valid: ${z.prettifyError(parsed.error)}`, {
    cause: parsed.error,
  })
}

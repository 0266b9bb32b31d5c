import type { z } from 'zod'
import type { Json } from '../core/json.ts'
import type { JobContext } from './job.ts'

/**
 * An operation that runs as a job. `input` is parsed when the job starts and again when it is resumed; what is stored
 * is the JSON that came in, so it holds references and never secrets.
 */
export interface OperationDefinition<Input = unknown, Output extends Json = Json> {
  /** Stable: a stored job finds its operation by it. */
  readonly name: string
  readonly input: z.ZodType<Input>
  /** One line for lists of jobs: "Create image web-2024 from campus:web". */
  title(input: Input): string
  /** Everything outside `context.step` runs again on every resume, so it only decides; steps do. */
  run(context: JobContext, input: Input): Promise<Output>
}

/** Gives the definition back; here so that `Input` and `Output` are inferred from the schema and `run`. */
export function defineOperation<Input, Output extends Json>(
  definition: OperationDefinition<Input, Output>,
): OperationDefinition<Input, Output> {
  return definition
}

import type { JobEvent } from '../core/events.ts'
import type { OperationHandle } from '../operations/operation-handle.ts'
import { exitCodes } from './failure.ts'
import { plainProgress } from './render/plain-progress.ts'
import { progressBar } from './render/progress-bar.ts'
import type { CommonOptions } from './session.ts'

/** Shows a stream of events on stderr. */
export interface ProgressRenderer {
  show(event: JobEvent): void
  close(): void
}

/**
 * Waits for an operation and shows its progress. The first Ctrl-C cancels it and cleans up; a second one stops at
 * once and leaves a job that can be resumed or undone.
 */
export async function runJob<T>(options: CommonOptions, handle: OperationHandle<T>): Promise<T> {
  const renderer = chooseRenderer(options)
  const stopListening = listenForInterrupts(handle)
  try {
    for await (const event of handle.events()) renderer.show(event)
    return await handle
  } finally {
    stopListening()
    renderer.close()
  }
}

function chooseRenderer(options: CommonOptions): ProgressRenderer {
  if (options.quiet) return { show: () => undefined, close: () => undefined }
  const output = {
    write: (text: string) => void process.stderr.write(text),
    columns: process.stderr.columns ?? 80,
  }
  return process.stderr.isTTY
    ? progressBar(output, { verbose: options.verbose ?? false })
    : plainProgress(output, { verbose: options.verbose ?? false })
}

function listenForInterrupts(handle: OperationHandle<unknown>): () => void {
  let asked = false
  let jobId = ''
  handle.jobId.then(
    (id) => {
      jobId = id
    },
    // Not started: awaiting the handle tells why.
    () => undefined,
  )
  const onSignal = (): void => {
    if (asked) {
      process.stderr.write(
        `\nStopped. Clean up with: imagewright jobs undo ${jobId}\nor, if cleaning up had not begun, go on with: imagewright jobs resume ${jobId}\n`,
      )
      // Not awaiting what still runs: a step that does not heed its signal must not hold the person up.
      void handle.interrupt().finally(() => process.exit(exitCodes.interrupted))
      return
    }
    asked = true
    process.stderr.write('\nCancelling and cleaning up. Press Ctrl-C again to stop at once.\n')
    // Whether that worked is told by awaiting the handle.
    handle.cancel().catch(() => undefined)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return () => {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

import type { EmitEvent, JobEvent } from '../core/events.ts'
import type { RecordedEvent } from './job-record.ts'
import { appendEvent } from './state/event-table.ts'
import type { State } from './state/open-state.ts'

export interface EventLog {
  /** Stores the event and passes it on. Never throws: what goes wrong is told to `onFailure`. */
  readonly emit: EmitEvent
  /** Passes on what is stored already. */
  tell(event: RecordedEvent | null): void
  /** Passes on what the throttle holds back; later events are dropped. */
  close(): void
}

/** Milliseconds between two progress events of one transfer. */
const progressInterval = 250

/**
 * The events of one run of a job. Progress is thinned to four a second for each transfer; the last of a transfer, and
 * whatever is held back when another event comes, always arrives.
 */
export function openEventLog(options: {
  state: State
  jobId: string
  onEvent: ((event: RecordedEvent) => void) | undefined
  onFailure: (error: unknown) => void
}): EventLog {
  const held = new Map<string, JobEvent>()
  const lastPassed = new Map<string, number>()
  let timer: NodeJS.Timeout | undefined
  let closed = false

  function emit(event: JobEvent): void {
    if (closed) return
    if (event.type !== 'progress') {
      passHeld()
      pass(event)
      return
    }
    const wait = (lastPassed.get(event.transfer) ?? -progressInterval) + progressInterval - performance.now()
    if (wait <= 0 || event.done === event.total) {
      held.delete(event.transfer)
      lastPassed.set(event.transfer, performance.now())
      pass(event)
      return
    }
    held.set(event.transfer, event)
    timer ??= setTimeout(passHeld, wait).unref()
  }

  function passHeld(): void {
    clearTimeout(timer)
    timer = undefined
    for (const [transfer, event] of held) {
      lastPassed.set(transfer, performance.now())
      pass(event)
    }
    held.clear()
  }

  function pass(event: JobEvent): void {
    guarded(() => tellListener(options.state.log((database) => appendEvent(database, options.jobId, event))))
  }

  function tellListener(event: RecordedEvent | null): void {
    if (event) options.onEvent?.(event)
  }

  function guarded(action: () => void): void {
    try {
      action()
    } catch (error) {
      closed = true
      options.onFailure(error)
    }
  }

  return {
    emit,
    tell: (event) => guarded(() => tellListener(event)),
    close() {
      if (closed) return
      passHeld()
      closed = true
    },
  }
}

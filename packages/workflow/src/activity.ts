import { AppError, findUnsendable, toWire, type Clock, type WireError } from '@daruma/protocol'
import type { PendingEffect } from './head.ts'
import { startToCloseDefaultMs } from './retry.ts'

/** One attempt of a call, as the function sees it. */
export interface ActivityTask {
  /** `call`: a function of the app. `request`: a handler that the app names. */
  readonly kind: 'call' | 'request'
  readonly target: string
  readonly args: readonly unknown[]
  /** `<workflow id>/<run>/<command id>`: the same for every attempt, for the outside world to recognise a repeat. */
  readonly idempotencyKey: string
  /** From 1. Attempts that a crash cut off are not counted: the outside may see one number twice. */
  readonly attempt: number
  readonly workflowId: string
  readonly run: number
  readonly context: Readonly<Record<string, unknown>>
  /** Aborted when the call is cancelled, times out, or its owner stops. */
  readonly signal: AbortSignal
  /** Proves life, and leaves `details` for the next attempt. */
  heartbeat(details?: unknown): void
  /** What the attempt before left. */
  readonly lastHeartbeat: unknown
}

/** Runs functions. At least once per call: a crash between the end of an attempt and its record repeats it. */
export interface ActivityExecutor {
  /** @throws whatever the function fails with; AppError not_found when nobody knows `task.target`. */
  execute(task: ActivityTask): Promise<unknown>
}

export type AttemptOutcome =
  | { readonly kind: 'completed'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly error: WireError; readonly heartbeat: unknown }

export interface Attempt {
  /** Resolves once, with how the attempt ended; never rejects. */
  readonly outcome: Promise<AttemptOutcome>
  /** Asks the function to stop, and does not wait for its answer: the outcome is canceled. */
  cancel(reason: string): void
  /** Asks the function to stop, and leaves the outcome to it and to its timeouts. */
  interrupt(reason: string): void
}

export interface AttemptContext {
  readonly workflowId: string
  readonly run: number
  readonly context: Readonly<Record<string, unknown>>
}

/** Runs one attempt under its timeouts. A function that ignores its signal is left alone; its late answer is dropped. */
export function runAttempt(
  executor: ActivityExecutor,
  clock: Clock,
  effect: PendingEffect,
  where: AttemptContext,
): Attempt {
  const { command } = effect
  if (command.kind !== 'call' && command.kind !== 'request') throw new TypeError(`not an activity: ${command.kind}`)
  const options = command.kind === 'call' ? command.options : undefined
  const signal = lazySignal()
  let heartbeatDetails: unknown = effect.heartbeat
  let settle!: (outcome: AttemptOutcome) => void
  const outcome = new Promise<AttemptOutcome>((resolve) => {
    settle = resolve
  })
  const fail = (error: AppError): void => {
    settle({ kind: 'failed', error: toWire(error), heartbeat: heartbeatDetails })
    signal.abort(error)
  }
  const timeout = (what: string, limitMs: number): (() => unknown) =>
    clock.after(limitMs, () =>
      fail(
        new AppError('timeout', `${targetOf(effect)} did not ${what} within ${limitMs} ms`, undefined, {
          retryable: true,
        }),
      ),
    )
  const startToCloseMs = options?.startToCloseMs ?? startToCloseDefaultMs
  const stopDeadline = timeout('end', startToCloseMs)
  const heartbeatMs = options?.heartbeatMs
  let stopHeartbeat = heartbeatMs === undefined ? undefined : timeout('show a heartbeat', heartbeatMs)

  const task: ActivityTask = {
    kind: command.kind,
    target: command.kind === 'call' ? command.target : command.handler,
    args: command.kind === 'call' ? command.args : [command.input],
    idempotencyKey: `${where.workflowId}/${where.run}/${effect.id}`,
    attempt: effect.attempt,
    workflowId: where.workflowId,
    run: where.run,
    context: { ...where.context, ...options?.context },
    get signal() {
      return signal.get()
    },
    heartbeat(details) {
      if (details !== undefined) heartbeatDetails = details
      if (heartbeatMs === undefined) return
      stopHeartbeat?.()
      stopHeartbeat = timeout('show a heartbeat', heartbeatMs)
    },
    lastHeartbeat: effect.heartbeat,
  }

  void perform()
  return {
    outcome,
    cancel: (reason) => fail(new AppError('canceled', reason)),
    interrupt: (reason) => signal.abort(new AppError('canceled', reason, undefined, { retryable: false })),
  }

  async function perform(): Promise<void> {
    try {
      const value = await executor.execute(task)
      const problem = findUnsendable(value, 'result')
      if (problem === undefined) settle({ kind: 'completed', value })
      else
        settle({
          kind: 'failed',
          error: { kind: 'invalid', message: `${targetOf(effect)}: ${problem}`, retryable: false },
          heartbeat: undefined,
        })
    } catch (error) {
      settle({ kind: 'failed', error: toWire(error), heartbeat: heartbeatDetails })
    } finally {
      stopDeadline()
      stopHeartbeat?.()
    }
  }
}

/** Most functions never look at their signal, and an AbortController is dear. */
function lazySignal(): { get(): AbortSignal; abort(reason: AppError): void } {
  let controller: AbortController | undefined
  let aborted: AppError | undefined
  return {
    get() {
      if (controller === undefined) {
        controller = new AbortController()
        if (aborted !== undefined) controller.abort(aborted)
      }
      return controller.signal
    },
    abort(reason) {
      aborted ??= reason
      controller?.abort(reason)
    },
  }
}

function targetOf({ command }: PendingEffect): string {
  return command.kind === 'call' ? command.target : command.kind === 'request' ? command.handler : command.kind
}

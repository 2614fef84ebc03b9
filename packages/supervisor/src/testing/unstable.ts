import type { Behavior, Context } from '@daruma/actors'
import { next } from '@daruma/actors'
import type { ExitReason } from '@daruma/protocol'
import { AppError, describeReason, exitShutdown } from '@daruma/protocol'

/** How a start goes. A number: acknowledged after so many milliseconds. */
export type StartAct = 'ok' | 'throw' | 'ignore' | 'hang' | number
/** What becomes of an exit signal. A number: ends with `shutdown` after so many milliseconds. */
export type StopAct = 'obey' | 'ignore' | 'unlink' | number | ExitReason

export type UnstableMessage =
  | { readonly kind: 'crash' }
  | { readonly kind: 'exit'; readonly reason: ExitReason }
  | { readonly kind: 'add'; readonly amount: number }
  | { readonly kind: 'get' }

export interface UnstableOptions {
  /** How its first, second, ... start goes; then `ok`. */
  readonly starts?: readonly StartAct[]
  /** Default obey. */
  readonly stop?: StopAct
  /** Told of `start a`, `fail a`, `end a shutdown`. */
  readonly log?: (line: string) => void
}

export type Unstable = Behavior<UnstableMessage, { total: number }>

/**
 * A child that does what a test says: crashes on demand, fails to start, will not stop.
 * Its state counts what was added, so that a fresh one can be told from an old one.
 */
export function unstable(id: string, options: UnstableOptions = {}): Unstable {
  const { starts = [], stop = 'obey', log = () => undefined } = options
  let started = 0
  return {
    name: id,
    seesParentExit: true,
    init(ctx) {
      const act = starts[started++] ?? 'ok'
      ctx.trapExits = stop !== 'obey'
      if (stop === 'unlink') {
        ctx.unlink(ctx.parent)
        ctx.trapExits = false
      }
      switch (act) {
        case 'throw':
          log(`fail ${id}`)
          throw new AppError('internal', `${id} does not start`)
        case 'ignore':
          return next.ignore
        case 'hang':
          return new Promise(() => undefined)
        case 'ok':
          log(`start ${id}`)
          return { total: 0 }
        default:
          return later(ctx as Context, act, () => {
            log(`start ${id}`)
            return { total: 0 }
          })
      }
    },
    receive(ctx, message, state) {
      switch (message.kind) {
        case 'crash':
          throw new AppError('internal', 'crash on demand')
        case 'exit':
          return next.stop(message.reason)
        case 'add':
          return next.state({ total: state.total + message.amount })
        case 'get':
          ctx.reply(message, state.total as never)
          return next.same
      }
    },
    notice(ctx, notice) {
      if (notice.kind === 'timeout') return next.stop(exitShutdown)
      if (notice.kind !== 'exit' || stop === 'ignore') return next.same
      if (typeof stop === 'object') return next.stop(stop)
      if (typeof stop === 'number') ctx.startTimer(stop)
      return next.same
    },
    release: (_state, reason) => log(`end ${id} ${describeReason(reason)}`),
  }
}

function later<T>(ctx: Context, delayMs: number, make: () => T): Promise<T> {
  return new Promise((resolve) => ctx.system.clock.after(delayMs, () => resolve(make())))
}

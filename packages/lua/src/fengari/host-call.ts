import { AppError } from '@daruma/protocol'
import type { HostContext, HostFunction, HostResult, HostValue, LuaFrame, LuaValue, Settlement } from '../engine.ts'
import { FunctionHandle, fromLua, toLua } from './convert.ts'
import { drive, frames, place, raiseThrown, returnAll } from './native.ts'
import type { Flow } from './native.ts'
import type { LuaState, TValue } from './types.ts'
import type { FengariProc } from './proc.ts'
import { FengariChannel } from './channel.ts'

/** Host functions as natives: arguments out, results in, and every form of HostResult. */

export class CallContext implements HostContext {
  readonly proc: FengariProc
  readonly #L: LuaState
  constructor(proc: FengariProc, L: LuaState) {
    this.proc = proc
    this.#L = L
  }
  get local(): unknown {
    return this.proc.local
  }
  get coroutine(): number {
    return this.proc.currentTask
  }
  where(): string {
    return place(this.#L)
  }
  frames(): readonly LuaFrame[] {
    return frames(this.#L)
  }
}

export function runHost(proc: FengariProc, L: LuaState, fn: HostFunction): number {
  const args: LuaValue[] = []
  for (let at = L.ci.funcOff + 1; at < L.top; at++) args.push(fromLua(proc, L.stack[at]!))
  const ctx = new CallContext(proc, L)
  const result = enter(proc, L, () => fn(ctx, args))
  if (result === undefined) return 0
  if (Array.isArray(result)) return returnAll(L, convertAll(proc, L, result as readonly HostValue[]))
  return drive(L, resultFlow(proc, L, ctx, result), [])
}

/** Host code runs; what it throws is raised in `L`; a process that it killed goes no further. */
function enter(proc: FengariProc, L: LuaState, body: () => HostResult): HostResult {
  let result: HostResult
  proc.enterHost()
  try {
    result = body()
  } catch (thrown) {
    proc.leaveHost()
    proc.throwIfAborted()
    return raiseThrown(L, thrown, (value) => toLua(proc, value))
  }
  proc.leaveHost()
  proc.throwIfAborted()
  return result
}

function convertAll(proc: FengariProc, L: LuaState, values: readonly HostValue[]): TValue[] {
  try {
    return values.map((value) => toLua(proc, value))
  } catch (thrown) {
    return raiseThrown(L, thrown, (value) => toLua(proc, value))
  }
}

/** Carries out results that are not simply values, until one is. */
export function* resultFlow(proc: FengariProc, L: LuaState, ctx: HostContext, first: HostResult): Flow {
  let result = first
  for (;;) {
    if (result === undefined) return []
    if (isValues(result)) return convertAll(proc, L, result)
    const current = result
    switch (current.kind) {
      case 'suspend': {
        let outcome: Settlement | undefined
        yield { kind: 'park', register: () => proc.awaitToken(current.token, (settled) => (outcome = settled)) }
        if (outcome === undefined) return raiseThrown(L, lost(), (value) => toLua(proc, value))
        if (outcome.kind === 'error') return raiseThrown(L, outcome.error, (value) => toLua(proc, value))
        const { values } = outcome
        const then = current.onDone
        if (then === undefined) return convertAll(proc, L, values)
        result = enter(proc, L, () => then(ctx, values))
        break
      }
      case 'call': {
        const fn = functionValue(proc, L, current.fn)
        const args = convertAll(proc, L, current.args)
        const { onDone: then, caught } = current
        let results: readonly TValue[]
        if (caught === undefined) {
          results = yield { kind: 'call', fn, args }
        } else {
          const [ok, ...rest] = yield { kind: 'pcall', fn, args }
          if (ok!.value === false) {
            result = enter(proc, L, () => caught(ctx, fromLua(proc, rest[0]!)))
            break
          }
          results = rest
        }
        if (then === undefined) return results
        result = enter(proc, L, () =>
          then(
            ctx,
            results.map((v) => fromLua(proc, v)),
          ),
        )
        break
      }
      case 'receive': {
        const channel = current.channel
        if (!(channel instanceof FengariChannel)) {
          return raiseThrown(L, new AppError('invalid', 'channelReceive needs a channel of this engine'), (v) =>
            toLua(proc, v),
          )
        }
        const received = channel.tryReceive() ?? (yield { kind: 'park', register: () => channel.awaitValue() })
        const then = current.onDone
        if (then === undefined) return received
        result = enter(proc, L, () =>
          then(ctx, { value: fromLua(proc, received[0]!), ok: received[1]!.value === true }),
        )
        break
      }
      default:
        return raiseThrown(L, notAResult(current), (value) => toLua(proc, value))
    }
  }
}

const isValues = (result: NonNullable<HostResult>): result is readonly HostValue[] => Array.isArray(result)

/** An async function, most likely: nothing here waits for promises. */
const notAResult = (value: never): AppError =>
  new AppError(
    'internal',
    `a host function answered with ${describeValue(value)}; it must be an array, suspend(), call() or nothing`,
  )

const describeValue = (value: unknown): string =>
  typeof value === 'object' && value !== null ? `a ${value.constructor.name}` : `${typeof value} ${String(value)}`

const lost = (): AppError => new AppError('internal', 'a suspended call was woken without an answer')

function functionValue(proc: FengariProc, L: LuaState, fn: unknown): TValue {
  if (fn instanceof FunctionHandle && fn.belongsTo(proc)) return fn.value
  return raiseThrown(L, new AppError('invalid', 'call needs a function of this process'), (value) => toLua(proc, value))
}

import { fengari } from '../fengari/load.ts'
import {
  arg,
  checkFunction,
  collect,
  copyOf,
  fail,
  makeBoolean,
  makeText,
  makeThread,
  pushCopy,
  raiseValue,
  returnAll,
  returnOne,
  typeError,
  where,
  isString,
  bytesOf,
} from '../fengari/native.ts'
import { procOf } from '../fengari/shared.ts'
import { forPeople } from '../fengari/text.ts'
import { status, tag } from '../fengari/types.ts'
import type { LuaState, NativeFunction, TValue } from '../fengari/types.ts'

/**
 * Coroutines. `spawn` starts one that the scheduler of the process runs; the others are Lua's own. When something
 * blocks within a coroutine of Lua's own, the whole chain of resumers up to the scheduler waits: a yield that is the
 * scheduler's is passed outwards by `resume`, and its answer reaches the inmost one.
 */

const { lapi, ldo } = fengari

type Outcome = { readonly ok: true; readonly values: TValue[] } | { readonly ok: false; readonly error: TValue }

/** What a resume in progress will do with its outcome. */
interface Resuming {
  readonly thread: LuaState
  readonly finish: (L: LuaState, outcome: Outcome) => number
}

function start(L: LuaState, thread: LuaState, args: readonly TValue[], finish: Resuming['finish']): number {
  const proc = procOf(L)
  const problem =
    proc.busyThreads.has(thread) || thread === L || proc.isTaskThread(thread)
      ? 'cannot resume non-suspended coroutine'
      : statusOf(L, thread) === 'dead'
        ? 'cannot resume dead coroutine'
        : undefined
  if (problem !== undefined) return finish(L, { ok: false, error: makeText(L, problem) })
  if (!lapi.lua_checkstack(thread, args.length + 8)) fail(L, 'too many arguments to resume')
  for (const value of args) pushCopy(thread, value)
  proc.busyThreads.add(thread)
  return run(L, { thread, finish }, args.length)
}

function run(L: LuaState, resuming: Resuming, argumentCount: number): number {
  const { thread, finish } = resuming
  const proc = procOf(L)
  for (let count = argumentCount; ; count = 0) {
    const isBlocked = L.nny > 0
    if (isBlocked) proc.unyieldable++
    const code = proc.resumeThread(thread, L, count)
    if (isBlocked) proc.unyieldable--
    proc.throwIfAborted()
    if (code === status.yield && proc.passing() !== undefined) {
      // Ours: outwards. Only a preemption can come here when L cannot yield, and it may as well not happen.
      if (!isBlocked) return ldo.lua_yieldk(L, 0, resuming, goOn)
      proc.resumed()
      continue
    }
    proc.busyThreads.delete(thread)
    if (code === status.ok || code === status.yield) {
      const values: TValue[] = []
      const first = thread.ci.funcOff + 1
      for (let at = first; at < thread.top; at++) values.push(copyOf(thread.stack[at]!))
      ldo.adjust_top(thread, first)
      return finish(L, { ok: true, values })
    }
    return finish(L, { ok: false, error: copyOf(thread.stack[thread.top - 1]!) })
  }
}

const goOn = (L: LuaState, _code: number, resuming: unknown): number => {
  procOf(L).resumed()
  return run(L, resuming as Resuming, 0)
}

function threadArg(L: LuaState, i: number): LuaState {
  const v = arg(L, i)
  return v.type === tag.thread ? (v.value as LuaState) : typeError(L, i, 'coroutine')
}

function makeCoroutine(L: LuaState, fn: TValue): LuaState {
  const thread = procOf(L).newThread()
  pushCopy(thread, fn)
  return thread
}

function statusOf(L: LuaState, thread: LuaState): 'running' | 'normal' | 'suspended' | 'dead' {
  if (thread === L) return 'running'
  if (procOf(L).busyThreads.has(thread)) return 'normal'
  if (thread.status === status.yield) return 'suspended'
  if (thread.status !== status.ok) return 'dead'
  if (thread.ci !== thread.base_ci) return 'normal'
  return thread.top - thread.ci.funcOff - 1 === 0 ? 'dead' : 'suspended'
}

export const coroutineLibrary: Readonly<Record<string, NativeFunction>> = {
  create: (L) => returnOne(L, makeThread(makeCoroutine(L, checkFunction(L, 1)))),

  resume(L) {
    const thread = threadArg(L, 1)
    return start(L, thread, collect(L, 2), (l, outcome) =>
      outcome.ok
        ? returnAll(l, [makeBoolean(true), ...outcome.values])
        : returnAll(l, [makeBoolean(false), outcome.error]),
    )
  },

  wrap(L) {
    const thread = makeCoroutine(L, checkFunction(L, 1))
    const native: NativeFunction = (l) =>
      start(l, thread, collect(l), (at, outcome) => {
        if (outcome.ok) return returnAll(at, outcome.values)
        const { error } = outcome
        return raiseValue(at, isString(error) ? makeText(at, where(at, 1) + forPeople(bytesOf(error))) : error)
      })
    return returnOne(L, new fengari.lobject.TValue(tag.lightFunction, native))
  },

  yield(L) {
    if (procOf(L).isTaskThread(L)) fail(L, 'attempt to yield from outside a coroutine')
    if (L.nny > 0) fail(L, 'attempt to yield across a call of a library function')
    return ldo.lua_yieldk(L, L.top - L.ci.funcOff - 1, undefined, null)
  },

  isyieldable: (L) => returnOne(L, makeBoolean(L.nny === 0 && !procOf(L).isTaskThread(L))),

  running(L) {
    const isMain = procOf(L).isTaskThread(L)
    return returnAll(L, [makeThread(L), makeBoolean(isMain)])
  },

  status: (L) => returnOne(L, makeText(L, statusOf(L, threadArg(L, 1)))),

  /** Starts `fn(...)` as a coroutine of the process, behind the runnable ones. What it returns is dropped. */
  spawn(L) {
    const fn = checkFunction(L, 1)
    const proc = procOf(L)
    if (proc.taskCount() >= proc.limits.coroutines) {
      fail(L, `too many coroutines (limit ${proc.limits.coroutines})`)
    }
    proc.addTask(fn, collect(L, 2))
    return 0
  },
}

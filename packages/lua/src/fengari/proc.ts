import { AppError } from '@daruma/protocol'
import type {
  Channel,
  ChannelOptions,
  HostFunction,
  HostResult,
  HostValue,
  Limits,
  LuaFunction,
  LuaTable,
  LuaValue,
  Proc,
  ProcPorts,
  ProcStats,
  RunResult,
  Settlement,
  SpawnProc,
  Token,
  Unit,
  Waiting,
} from '../engine.ts'
import { isErrorObject, toAppError } from '../error-object.ts'
import type { AnyHostObject } from '../value.ts'
import { Budget } from './budget.ts'
import { FengariChannel } from './channel.ts'
import { FunctionHandle, TableHandle, fromLua, setField, toLua } from './convert.ts'
import type { ConversionHost } from './convert.ts'
import { CallContext, resultFlow } from './host-call.ts'
import { fengari } from './load.ts'
import {
  Abort,
  bytesOf,
  drive,
  fail,
  frames,
  isNumber,
  isString,
  makeFunction,
  makeNil,
  makeTable,
  makeText,
  nativeProblem,
  place,
  push,
  pushCopy,
  raiseThrown,
  tracebackText,
  typeName,
} from './native.ts'
import type { Answer, Flow, Parking } from './native.ts'
import { numberText } from './number.ts'
import { Queue } from './queue.ts'
import { addressText } from './shared.ts'
import type { FengariBase, Shared } from './shared.ts'
import { forPeople } from './text.ts'
import { status, tag } from './types.ts'
import type { GlobalState, LClosure, LuaState, NativeFunction, StateOwner, TValue, Table, Udata } from './types.ts'
import { FengariUnit } from './compile.ts'

const { lapi, ldo, lstate, ltable, lobject } = fengari

/** LUA_MASKCOUNT. */
const countMask = 8

/** One coroutine that the scheduler runs: main, `coroutine.spawn`, or `proc.start`. */
export class Task {
  readonly id: number
  readonly thread: LuaState
  /** Values on its stack for the next lua_resume. */
  argumentCount: number
  answer: Answer | undefined
  waits: 'host' | 'channel' | 'token' | undefined

  constructor(id: number, thread: LuaState, argumentCount: number) {
    this.id = id
    this.thread = thread
    this.argumentCount = argumentCount
  }

  /** A select waits on several channels: one that the host feeds makes it wakeable. */
  waitOn(what: 'host' | 'channel' | 'token'): void {
    if (this.waits !== 'host') this.waits = what
  }
}

/**
 * A process: one state, and a set of coroutines in it.
 *
 * Invariants:
 * - R1 A task is in exactly one place: running, in the queue of runnable ones, or parked with its waiter or token.
 * - R2 Tasks run in the order in which they became runnable; one that is preempted goes on first, so that a stretch
 *   of code without a blocking call is never interleaved with another coroutine.
 * - R3 After `#end` is set, no thread of the state is resumed.
 */
export class FengariProc implements Proc, ConversionHost, StateOwner, Parking {
  readonly id: number
  readonly L: LuaState
  readonly local: unknown
  readonly ports: ProcPorts
  readonly limits: Limits
  readonly shared: Shared
  readonly environment: Table
  readonly startedAtMs: number
  /** The generator behind math.random; made at its first use. */
  random: unknown
  /** Threads that are being resumed by a coroutine, or whose task is parked within them. */
  readonly busyThreads = new Set<LuaState>()
  /** > 0: some level between here and the scheduler cannot be suspended. */
  unyieldable = 0

  readonly #budget: Budget
  readonly #revive: ((value: object) => HostValue) | undefined
  readonly #tasks = new Map<number, Task>()
  readonly #threads = new WeakSet<LuaState>()
  readonly #tokens = new Map<Token, { task: Task; settled: (outcome: Settlement) => void }>()
  readonly #runnable = new Queue<Task>()
  #userdata: WeakMap<AnyHostObject, Udata> | undefined
  #ids: WeakMap<object, number> | undefined
  #nilKeyPlaces: Set<string> | undefined
  #waitingHost = 0
  #waitingChannel = 0
  #nextTask = 1
  #current: Task | undefined
  #passing: 'park' | 'preempt' | undefined
  #inside = 0
  #inHost = 0
  #end: RunResult | undefined

  constructor(id: number, shared: Shared, limits: Limits, options: SpawnProc) {
    this.id = id
    this.shared = shared
    this.limits = limits
    this.local = options.local
    this.ports = options.ports
    this.startedAtMs = options.ports.nowMs()
    this.#revive = options.revive
    this.#budget = new Budget(limits, () => this.#roots())
    this.L = lstate.lua_newstate()
    const global: GlobalState = this.L.l_G
    global.owner = this
    global.atnativeerror = onNativeError
    this.L.hookmask = countMask
    this.L.basehookcount = this.L.hookcount = this.#budget.step
    const base = options.base as FengariBase
    if (base.stringMeta !== undefined) global.mt[tag.string] = base.stringMeta
    this.environment = new ltable.Table(this.L)
    this.environment.metatable = base.environment
    setField(this.L, this.environment, makeText(this.L, '_G'), makeTable(this.environment))
    for (const [name, value] of Object.entries(options.globals ?? {})) this.setGlobal(name, value)
    this.#startMain(options)
  }

  /* --------------------------------------------------------------------------------------------- running */

  resume(): RunResult {
    if (this.#end !== undefined) return this.#end
    if (this.#inside > 0) throw new AppError('invalid', 'resume within a resume of the same process')
    this.#budget.beginSlice()
    this.#inside++
    try {
      return this.#run()
    } finally {
      this.#inside--
    }
  }

  #run(): RunResult {
    for (;;) {
      if (this.#budget.abort !== undefined) return this.#finishAborted(this.#budget.abort, undefined)
      const task = this.#runnable.shift()
      if (task === undefined) return { kind: 'yield', waiting: this.#waiting() }
      const result = this.#runTask(task)
      if (result !== undefined) return result
      if (this.#budget.isSliceOver && this.#runnable.length > 0) return { kind: 'preempted' }
    }
  }

  #runTask(task: Task): RunResult | undefined {
    const { thread, argumentCount } = task
    task.argumentCount = 0
    this.#current = task
    this.#passing = undefined
    const code = this.resumeThread(thread, null, argumentCount)
    this.#current = undefined
    if (this.#budget.abort !== undefined) return this.#finishAborted(this.#budget.abort, task)
    switch (code) {
      case status.yield:
        if (this.#passing === 'preempt') {
          this.#runnable.unshift(task) // R2
          return { kind: 'preempted' }
        }
        if (task.waits === 'host') this.#waitingHost++
        else if (task.waits === 'channel') this.#waitingChannel++
        return undefined
      case status.ok:
        this.#tasks.delete(task.id)
        if (task.id !== 1) return undefined
        return this.#finish({ kind: 'done', values: resultsOf(this, thread) })
      default:
        return this.#finish(this.#failure(task))
    }
  }

  /** lua_resume, with the instructions that it took on the account. */
  resumeThread(thread: LuaState, from: LuaState | null, argumentCount: number): number {
    const before = thread.hookcount
    const code = ldo.lua_resume(thread, from, argumentCount)
    this.#budget.executed(before - thread.hookcount)
    return code
  }

  #finish(end: RunResult): RunResult {
    this.#end = end
    this.#runnable.clear()
    this.#tasks.clear()
    this.#tokens.clear()
    return end
  }

  #finishAborted(abort: Abort, task: Task | undefined): RunResult {
    const traceback = task === undefined ? 'stack traceback:' : tracebackText(frames(task.thread))
    return this.#finish({
      kind: 'error',
      message: abort.message,
      value: abort.message,
      traceback,
      coroutine: task?.id ?? 1,
      cause: abort.cause,
    })
  }

  #failure(task: Task): RunResult {
    const { thread } = task
    const raised = thread.stack[thread.top - 1] ?? makeNil()
    const value = fromLua(this, raised)
    return {
      kind: 'error',
      message: messageOf(raised, value),
      value,
      traceback: tracebackText(frames(thread)),
      coroutine: task.id,
      cause: 'raised',
    }
  }

  #waiting(): Waiting {
    const tokens = this.#tokens
    return {
      get tokens() {
        return [...tokens.keys()]
      },
      hostChannels: this.#waitingHost,
      channels: this.#waitingChannel,
    }
  }

  isRunnable(): boolean {
    return this.#end === undefined && (this.#runnable.length > 0 || this.#budget.abort !== undefined)
  }

  kill(reason: string): void {
    if (this.#end === undefined) this.#budget.kill(reason)
  }

  stats(): ProcStats {
    const { instructions, memoryBytes, slices } = this.#budget
    return { instructions, memoryBytes, slices, coroutines: this.#tasks.size }
  }

  /* ---------------------------------------------------------------------------------------------- tasks */

  get currentTask(): number {
    return this.#current?.id ?? 0
  }

  running(): Task {
    if (this.#current === undefined) throw new AppError('internal', 'no coroutine runs')
    return this.#current
  }

  /** A new task that will call `fn`. */
  addTask(fn: TValue, args: readonly TValue[]): Task {
    const id = this.#nextTask++
    const thread = this.newThread()
    lapi.lua_checkstack(thread, args.length + 8)
    pushCopy(thread, fn)
    for (const value of args) pushCopy(thread, value)
    const task = new Task(id, thread, args.length)
    this.#tasks.set(id, task)
    this.#threads.add(thread)
    this.#runnable.push(task)
    return task
  }

  taskCount(): number {
    return this.#tasks.size
  }

  newThread(): LuaState {
    this.allocated(undefined, 2_000)
    const { L } = this
    const thread = lstate.lua_newthread(L)
    // lua_newthread anchors it on the stack of L; here whoever asked for it holds it.
    ldo.adjust_top(L, L.top - 1)
    return thread
  }

  wake(task: Task, answer: Answer): void {
    if (task.waits === 'host') this.#waitingHost--
    else if (task.waits === 'channel') this.#waitingChannel--
    task.waits = undefined
    task.answer = answer
    this.#runnable.push(task)
  }

  awaitToken(token: Token, settled: (outcome: Settlement) => void): void {
    const task = this.running()
    if (this.#tokens.has(token)) throw new AppError('invalid', 'another coroutine waits with this token already')
    task.waitOn('token')
    this.#tokens.set(token, { task, settled })
  }

  settle(token: Token, outcome: Settlement): boolean {
    const waiting = this.#tokens.get(token)
    if (waiting === undefined) return false
    this.#tokens.delete(token)
    waiting.settled(outcome)
    this.wake(waiting.task, { values: [] })
    return true
  }

  start(fn: LuaFunction, args: readonly HostValue[] = []): number {
    const value = this.#functionValue(fn)
    if (this.#end !== undefined) throw new AppError('invalid', 'start: the process has ended')
    return this.addTask(
      value,
      args.map((item) => toLua(this, item)),
    ).id
  }

  /* --------------------------------------------------------------------------------------------- parking */

  checkParkable(L: LuaState): void {
    if (L.nny > 0 || this.unyieldable > 0 || this.#current === undefined) {
      fail(
        L,
        'this call blocks, and cannot do so here (inside a query, a metamethod of a library call, or a host callback)',
        0,
      )
    }
  }

  parking(): void {
    this.#passing = 'park'
  }

  /** True: the slice is over, and the native that asks is to yield now; its task goes on where it stood. */
  shouldRest(L: LuaState): boolean {
    this.throwIfAborted()
    if (!this.#budget.isSliceOver || L.nny > 0 || this.unyieldable > 0 || this.#current === undefined) return false
    this.#passing = 'preempt'
    return true
  }

  takeAnswer(): Answer {
    const task = this.running()
    const answer = task.answer ?? { values: [] }
    task.answer = undefined
    return answer
  }

  /** A yield that came up to a resumer is the scheduler's, to be passed on outwards. */
  passing(): 'park' | 'preempt' | undefined {
    return this.#passing
  }

  /** The scheduler resumed the task again; the passing is over. */
  resumed(): void {
    this.#passing = undefined
  }

  isTaskThread(L: LuaState): boolean {
    return L === this.L || this.#threads.has(L)
  }

  aborted(): Abort | undefined {
    return this.#budget.abort
  }

  throwIfAborted(): void {
    this.#budget.throwIfAborted()
  }

  enterHost(): void {
    this.#inHost++
  }

  leaveHost(): void {
    this.#inHost--
  }

  /* --------------------------------------------------------------------------------------------- budgets */

  onCount(L: LuaState): boolean {
    if (!this.#budget.counted() || L.nny > 0 || this.unyieldable > 0) return false
    this.#passing = 'preempt'
    return true
  }

  charge(L: LuaState, instructions: number): void {
    this.#budget.charge(L, instructions)
  }

  allocated(L: LuaState | undefined, bytes: number): void {
    if (L !== undefined && bytes > this.limits.stringBytes + 64) {
      // In the main thread it is host code that converts a value: no Lua frame to raise in.
      if (L !== this.L) this.refuseString(L, bytes - 64)
      throw new AppError('invalid', tooLong(bytes - 64, this.limits.stringBytes))
    }
    // Copying it was work, too.
    if (L !== undefined && bytes > 4_096 && this.#inHost === 0) this.#budget.charge(L, bytes >> 6)
    // Host code that converts values is not unwound; the process ends when it returns.
    if (!this.#budget.allocated(bytes) && this.#inside > 0 && this.#inHost === 0) this.throwIfAborted()
  }

  refuseString(L: LuaState, bytes: number): never {
    return fail(L, tooLong(bytes, this.limits.stringBytes))
  }

  stringLimit(): number {
    return this.limits.stringBytes
  }

  nilKey(L: LuaState): void {
    if (this.ports.warn === undefined) return
    const at = place(L)
    this.#nilKeyPlaces ??= new Set()
    if (this.#nilKeyPlaces.has(at) || this.#nilKeyPlaces.size >= 1_000) return
    this.#nilKeyPlaces.add(at)
    this.ports.warn('assignment with a nil key is ignored', at)
  }

  *#roots(): Iterable<TValue | LuaState | Table> {
    yield this.environment
    yield this.L
    for (const task of this.#tasks.values()) {
      yield task.thread
      if (task.answer !== undefined && 'values' in task.answer) yield* task.answer.values
    }
    yield* this.busyThreads
  }

  /* ------------------------------------------------------------------------------------------- host's use */

  load(unit: Unit): LuaFunction {
    if (!(unit instanceof FengariUnit)) throw new AppError('invalid', 'load needs a unit of this engine')
    return fromLua(this, this.closure(unit)) as LuaFunction
  }

  closure(unit: FengariUnit): TValue {
    const closure: LClosure = new lobject.LClosure(this.L, 1)
    closure.p = unit.proto
    closure.upvals[0] = makeTable(this.environment)
    return new lobject.TValue(tag.luaClosure, closure)
  }

  evaluate(fn: LuaFunction, args: readonly HostValue[] = []): readonly LuaValue[] {
    const value = this.#functionValue(fn)
    const earlier = this.#budget.abort
    if (earlier !== undefined) throw new AppError('unavailable', earlier.message)
    const { L } = this
    const top = L.top
    const current = this.#current
    this.#current = undefined
    this.#budget.beginEvaluation()
    this.#inside++
    try {
      push(L, makeFunction(evaluated))
      pushCopy(L, value)
      for (const item of args) push(L, toLua(this, item))
      const code = lapi.lua_pcallk(L, args.length + 1, -1, 0, undefined, null)
      const abort = this.#budget.endEvaluation()
      if (abort !== undefined) throw new AppError('unavailable', abort.message)
      const values: LuaValue[] = []
      for (let at = top; at < L.top; at++) values.push(fromLua(this, L.stack[at]!))
      if (code === status.ok) return values
      const raised = values.at(-1)
      throw isErrorObject(raised)
        ? toAppError(raised.state)
        : new AppError('internal', messageOf(L.stack[L.top - 1]!, raised))
    } finally {
      ldo.adjust_top(L, top)
      this.#inside--
      this.#budget.endEvaluation()
      this.#current = current
    }
  }

  channel(options: ChannelOptions = {}): Channel {
    return new FengariChannel(this, options.capacity ?? 0, options)
  }

  global(name: string): LuaValue {
    const own = ltable.luaH_get(this.L, this.environment, makeText(this.L, name))
    if (own.type !== tag.nil) return fromLua(this, own)
    const meta = this.environment.metatable
    const base = meta === null ? undefined : (ltable.luaH_get(this.L, meta, makeText(this.L, '__index')).value as Table)
    return base === undefined ? undefined : fromLua(this, ltable.luaH_get(this.L, base, makeText(this.L, name)))
  }

  setGlobal(name: string, value: HostValue): void {
    setField(this.L, this.environment, makeText(this.L, name), toLua(this, value))
  }

  table(from?: HostValue): LuaTable {
    const made = fromLua(this, toLua(this, from ?? {}))
    if (made instanceof TableHandle) return made
    throw new AppError('invalid', `table needs an array, plain object or Map, not ${typeof from}`)
  }

  /* ------------------------------------------------------------------------------------------ conversion */

  native(fn: HostFunction): NativeFunction {
    return this.shared.native(fn)
  }

  userdata(object: AnyHostObject): Udata {
    const shared = this.shared.sharedUserdata(object)
    if (shared !== undefined) return shared
    this.#userdata ??= new WeakMap()
    let known = this.#userdata.get(object)
    if (known === undefined) {
      known = this.shared.makeUserdata(this.L, object)
      this.#userdata.set(object, known)
      this.allocated(undefined, 120)
    }
    return known
  }

  /** The number that `tostring` shows. Host functions, which are shared, get theirs when it is first asked for. */
  idOf(object: object & { readonly id?: number }): number {
    if (object.id !== undefined && typeof object !== 'function') return object.id
    this.#ids ??= new WeakMap()
    let id = this.#ids.get(object)
    if (id === undefined) {
      id = this.L.l_G.id_counter++
      this.#ids.set(object, id)
    }
    return id
  }

  addressOf(object: AnyHostObject): string {
    return addressText(this.userdata(object).id)
  }

  revive(value: object): HostValue {
    return this.#revive?.(value)
  }

  libraryTable(value: object): Table | undefined {
    return this.shared.libraryTable(value)
  }

  #functionValue(fn: LuaFunction): TValue {
    if (fn instanceof FunctionHandle && fn.belongsTo(this)) return fn.value
    throw new AppError('invalid', 'this is no function of this process')
  }

  #startMain({ unit, args, main, before }: SpawnProc): void {
    if (!(unit instanceof FengariUnit)) throw new AppError('invalid', 'spawn needs a unit of this engine')
    const chunk = this.closure(unit)
    const values = (args ?? []).map((item) => toLua(this, item))
    if (main === undefined && before === undefined) {
      this.addTask(chunk, values)
      return
    }
    const native: NativeFunction = (L) => drive(L, mainFlow(this, L, chunk, values, before, main), [])
    this.addTask(makeFunction(native), [])
  }
}

function* mainFlow(
  proc: FengariProc,
  L: LuaState,
  chunk: TValue,
  args: readonly TValue[],
  before: SpawnProc['before'],
  main: SpawnProc['main'],
): Flow {
  const ctx = new CallContext(proc, L)
  const carefully = (body: () => HostResult): HostResult => {
    proc.enterHost()
    try {
      return body()
    } catch (thrown) {
      return raiseThrown(L, thrown, (value) => toLua(proc, value))
    } finally {
      proc.leaveHost()
    }
  }
  if (before !== undefined) {
    const first = carefully(() => before(ctx))
    proc.throwIfAborted()
    yield* resultFlow(proc, L, ctx, first)
  }
  const values = yield { kind: 'call', fn: chunk, args }
  if (main === undefined) return values
  const result = carefully(() =>
    main(
      ctx,
      values.map((v) => fromLua(proc, v)),
    ),
  )
  proc.throwIfAborted()
  return yield* resultFlow(proc, L, ctx, result)
}

/** Calls its first argument: gives an evaluation a frame of its own, for messages and tracebacks. */
const evaluated: NativeFunction = (L) => {
  lapi.lua_callk(L, L.top - L.ci.funcOff - 2, -1, undefined, null)
  return L.top - L.ci.funcOff - 1
}

/** What fengari calls with a JavaScript error that came up through Lua. */
const onNativeError: NativeFunction = (L) => {
  const thrown = L.stack[L.ci.funcOff + 1]!.value
  if (thrown instanceof Abort) throw thrown
  const proc = L.l_G.owner as unknown as FengariProc
  push(L, toLua(proc, nativeProblem(thrown instanceof Error ? thrown : new Error(String(thrown)))))
  return 1
}

const tooLong = (bytes: number, limit: number): string => `string of ${bytes} bytes is too long (limit ${limit})`

function resultsOf(proc: FengariProc, thread: LuaState): LuaValue[] {
  const values: LuaValue[] = []
  for (let at = thread.ci.funcOff + 1; at < thread.top; at++) values.push(fromLua(proc, thread.stack[at]!))
  return values
}

function messageOf(raised: TValue, value: LuaValue): string {
  if (isString(raised)) return forPeople(bytesOf(raised))
  if (isNumber(raised)) return numberText(raised.value as number)
  if (isErrorObject(value)) return value.state.message
  return `(error object is a ${typeName(raised)} value)`
}

import { AppError, formatPid, toWire } from '@daruma/protocol'
import type { MessageEvent, Program, ProgramEvent, ProgramHost, Step, WireError } from '@daruma/protocol'
import type { LoadedEntry, LoadedProgram, ModuleCatalog } from './definition.ts'
import { call } from './engine.ts'
import type { Base, Engine, HostContext, HostResult, HostValue, LuaFunction, LuaValue, RunResult } from './engine.ts'
import { errorObject, isErrorObject, wireOf } from './error-object.ts'
import type { LifecycleEvent } from './mailbox.ts'
import { isFunction, isString, isTable, textOf } from './modules/support/args.ts'
import type { ZoneTable } from './modules/support/zone.ts'
import { Session } from './session.ts'
import { toData } from './value.ts'

/** What the programs of one definition share. */
export interface ProgramParts {
  readonly engine: Engine
  readonly base: Base
  readonly catalog: ModuleCatalog
  readonly program: LoadedProgram
  readonly zones: ZoneTable
  /** See SpawnProc. */
  readonly revive: (value: object) => HostValue
}

/**
 * A Lua entry as a program: the contract P1-P4 of the protocol over the engine's boundary.
 *
 * - The first value that main returns is the result; a second one that is text or an error is its failure instead.
 * - An error that nobody caught, in main or in any coroutine, is a failure of kind internal with Lua's traceback.
 * - When main returns, the program is over, whatever its other coroutines do.
 * - All coroutines blocked, with no pending command, timer or subscription: a failure that says deadlock.
 */
export class LuaProgram implements Program {
  readonly #parts: ProgramParts
  #session: Session | undefined
  #isStopped = false

  constructor(parts: ProgramParts) {
    this.#parts = parts
  }

  start(host: ProgramHost, args: readonly unknown[]): Step {
    const { engine, base, program, zones, revive } = this.#parts
    const { entry } = program
    const session = new Session({ host, program, catalog: this.#parts.catalog, zones })
    this.#session = session
    const proc = engine.spawn({
      unit: entry.unit,
      base,
      ...(program.libraries.length === 0 ? {} : { before: (ctx) => runLibraries(ctx, session, program.libraries, 0) }),
      main: (_ctx, [chunk]) =>
        call(
          methodOf(chunk, entry),
          args.map((arg) => session.revive(arg)),
        ),
      ...(entry.definition.limits === undefined ? {} : { limits: entry.definition.limits }),
      ports: session,
      local: session,
      revive,
    })
    session.attach(proc)
    return this.#run(session)
  }

  resume(event: ProgramEvent): Step {
    const session = this.#session
    if (session === undefined) throw new TypeError('resume before start')
    switch (event.kind) {
      case 'completed':
        session.complete(event.id, { value: event.value })
        break
      case 'failed':
        session.complete(event.id, { error: event.error })
        break
      case 'message':
        session.mailbox.deliver(event)
        break
      case 'exit':
      case 'link_down':
      case 'cancel':
        session.mailbox.notify(lifecycleEvent(session, event))
        break
      case 'slice':
        break
    }
    return this.#run(session)
  }

  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#session?.proc.kill('stopped')
  }

  unread(): readonly MessageEvent[] {
    return this.#session?.mailbox.unread() ?? []
  }

  /** @throws AppError not_found - the program declared no handler of that name; what the handler raised */
  query(name: string, args: readonly unknown[]): unknown {
    const session = this.#session
    const handler = session?.queries.get(name)
    if (session === undefined || handler === undefined) {
      const known = [...(session?.queries.keys() ?? [])]
      throw new AppError(
        'not_found',
        `no query handler "${name}"; ${known.length === 0 ? 'there is none' : `known: ${known.join(', ')}`}`,
        { known },
      )
    }
    const values = args.map((arg) => session.revive(arg))
    const [value, failed] = session.host.reading(() => session.proc.evaluate(handler, values))
    const error = returnedError(failed)
    if (error !== undefined)
      throw new AppError(error.kind, error.message, error.details, { retryable: error.retryable })
    return toData(value)
  }

  #run(session: Session): Step {
    const result = session.proc.resume()
    switch (result.kind) {
      case 'preempted':
        return { kind: 'preempted' }
      case 'yield':
        return result.waiting.tokens.length > 0 || session.isWakeable ? { kind: 'idle' } : this.#deadlock(session)
      case 'done':
        return outcome(result.values)
      case 'error':
        return session.successor === undefined ? failed(result) : { kind: 'become', ...session.successor }
    }
  }

  #deadlock(session: Session): Step {
    const { coroutines } = session.proc.stats()
    session.proc.kill('deadlock')
    return {
      kind: 'failed',
      error: {
        kind: 'internal',
        message: `deadlock: ${coroutines === 1 ? 'main is blocked' : `all ${coroutines} coroutines are blocked`} on channels, and no subscription, timer or call could wake ${coroutines === 1 ? 'it' : 'one'}`,
        retryable: false,
      },
    }
  }
}

function runLibraries(ctx: HostContext, session: Session, libraries: readonly LoadedEntry[], at: number): HostResult {
  const library = libraries[at]
  if (library === undefined) {
    for (const [alias, imported] of session.program.entry.imports) {
      ctx.proc.setGlobal(alias, session.loaded.get(imported.unit.name))
    }
    return []
  }
  // A library sees its own imports as globals too; main's, set last, win where names meet.
  for (const [alias, imported] of library.imports) ctx.proc.setGlobal(alias, session.loaded.get(imported.unit.name))
  return call(ctx.proc.load(library.unit), [], (inner, [value]) => {
    session.loaded.set(library.unit.name, value)
    return runLibraries(inner, session, libraries, at + 1)
  })
}

function methodOf(chunk: LuaValue, { definition, unit }: LoadedEntry): LuaFunction {
  if (isFunction(chunk)) return chunk
  const method = definition.method ?? 'main'
  if (!isTable(chunk)) {
    throw new AppError(
      'invalid',
      `${unit.name}: the chunk returned no table with method '${method}'; end it with \`return { ${method} = ${method} }\``,
    )
  }
  const found = chunk.get(method)
  if (isFunction(found)) return found
  const names = chunk
    .entries()
    .filter(([, value]) => isFunction(value))
    .flatMap(([key]) => (isString(key) ? [textOf(key)] : []))
  throw new AppError(
    'invalid',
    `${unit.name}: method '${method}' of ${definition.id} not found; the chunk returned ${names.length === 0 ? 'no functions' : `the functions ${names.join(', ')}`}`,
  )
}

/** LUA.md 2.1: a second value that is text or an error makes a failure of it. */
function outcome([value, second]: readonly LuaValue[]): Step {
  const error = returnedError(second)
  if (error !== undefined) return { kind: 'failed', error }
  try {
    return { kind: 'returned', value: toData(value) }
  } catch (problem) {
    return { kind: 'failed', error: toWire(problem) }
  }
}

function returnedError(value: LuaValue): WireError | undefined {
  if (isErrorObject(value)) return wireOf(value)
  return isString(value) ? { kind: 'unknown', message: textOf(value) } : undefined
}

function failed(result: Extract<RunResult, { kind: 'error' }>): Step {
  const cause = isErrorObject(result.value) ? wireOf(result.value) : undefined
  return {
    kind: 'failed',
    error: {
      kind: result.cause === 'raised' ? 'internal' : result.cause === 'limit' ? 'unavailable' : 'canceled',
      message: result.message,
      ...(cause?.retryable === undefined ? {} : { retryable: cause.retryable }),
      ...(cause?.details === undefined ? {} : { details: cause.details }),
      stack: result.traceback,
      ...(cause === undefined ? {} : { cause }),
    },
  }
}

function lifecycleEvent(
  session: Session,
  event: Extract<ProgramEvent, { kind: 'exit' | 'link_down' | 'cancel' }>,
): LifecycleEvent {
  const at = Math.floor(session.host.nowMs() / 1_000)
  const from = event.from === undefined ? '' : formatPid(event.from)
  if (event.kind === 'cancel') {
    return { kind: 'pid.cancel', from, at, ...(event.reason === undefined ? {} : { reason: event.reason }) }
  }
  const { value, error } = event.result
  const result: { value?: HostValue; error?: HostValue } = {}
  if (value !== undefined && value !== null) result.value = session.revive(value)
  if (error !== undefined) result.error = errorObject(error)
  return { kind: event.kind === 'exit' ? 'pid.exit' : 'pid.link.down', from, at, result }
}

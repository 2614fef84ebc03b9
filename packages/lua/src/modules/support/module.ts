import type { HostFunction, HostResult, LibrarySpec } from '../../engine.ts'
import { failure } from '../../error-object.ts'
import type { ZoneTable } from './zone.ts'

/** What a module may depend on when it is put together: once for processes, once for workflows. */
export interface ModuleEnv {
  readonly zones: ZoneTable
  readonly deterministic: boolean
}

/** A Lua module: what `require(name)` gives, and what people read about it. */
export interface LuaModule {
  readonly name: string
  /** One sentence. */
  readonly summary: string
  /** May stand in a workflow: what it does is a function of its arguments, or goes through the journal. */
  readonly deterministic: boolean
  /** Visible in every program without being declared. */
  readonly global?: boolean
  readonly spec: LibrarySpec | ((env: ModuleEnv) => LibrarySpec)
  /** `signature` -> what it does. Source of docs/lua/<name>.md. */
  readonly docs: Readonly<Record<string, string>>
}

/**
 * A function that answers `nil, error` when `run` throws: the convention of calls that can fail.
 * Errors inside of what `run` suspends on are its own affair.
 */
export function fallible(run: HostFunction): HostFunction {
  return (ctx, args) => {
    try {
      return run(ctx, args)
    } catch (error) {
      return failWith(error)
    }
  }
}

export function failWith(error: unknown): HostResult {
  if (!(error instanceof Error)) throw error
  return failure(error)
}

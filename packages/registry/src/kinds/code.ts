import type { EntryId } from '@daruma/protocol'
import * as v from 'valibot'
import { securityBlock, type SecurityBlock } from '../lifecycle.ts'
import { count, defined, kind, listOf, mapOf, open, ref, text } from '../schema.ts'

/** Programs: function.lua, process.lua, workflow.lua, library.lua. */

export interface Code {
  readonly source: string
  /** Lua modules that `require` may give, besides those that are always there. */
  readonly modules: readonly string[]
  /** Alias to the library or function whose chunk `require(alias)` runs. */
  readonly imports: Readonly<Record<string, EntryId>>
}

export interface LibraryLua extends Code {}

export interface Pool {
  readonly type: 'inline' | 'lazy' | 'static' | 'adaptive'
  readonly size?: number
  readonly workers?: number
  readonly buffer?: number
  readonly maxSize?: number
  readonly warmStart: boolean
}

interface Runnable extends Code {
  /** Field of the table that the chunk returns. A chunk that returns a function is the method itself. */
  readonly method: string
  readonly security?: SecurityBlock
  /** Default call options, such as `retry`, as written in `meta.options`. */
  readonly options: Readonly<Record<string, unknown>>
}

export interface FunctionLua extends Runnable {
  readonly pool: Pool
  /** The worker that this function is an activity of; absent: any workflow may call it, anywhere. */
  readonly activity?: Binding
}

export interface ProcessLua extends Runnable {
  /** Where it runs when it is called like a function. */
  readonly defaultHost?: EntryId
  /** By which the command line knows it. */
  readonly command?: { readonly name: string; readonly short: string }
}

export interface WorkflowLua extends Runnable {
  /** The only worker that runs it; absent: any worker on which it is spawned. */
  readonly worker?: EntryId
}

export interface Binding {
  readonly worker: EntryId
  /** In the workflow's own process, without the task queue. */
  readonly local: boolean
}

export const workerKinds = ['workflow.worker', 'temporal.worker'] as const
export const importableKinds = ['library.lua', 'function.lua'] as const
export const codeKinds = ['function.lua', 'process.lua', 'workflow.lua', 'library.lua'] as const
export const callableKinds = ['function.lua', 'process.lua'] as const
export const processHostKinds = ['process.host', 'terminal.host'] as const

const code = {
  source: v.string(),
  modules: v.optional(listOf(text()), []),
  // Chunks run when they are required, not at boot: an import orders nothing.
  imports: v.optional(mapOf(ref(importableKinds, { order: false })), {}),
}
const runnable = { ...code, method: text(), security: v.optional(securityBlock) }
const options = v.optional(open(), {})

const pool = v.pipe(
  v.object({
    type: v.optional(v.picklist(['inline', 'lazy', 'static', 'adaptive']), 'inline'),
    size: v.optional(count(1)),
    workers: v.optional(count(1)),
    buffer: v.optional(count()),
    warm_start: v.optional(v.boolean(), false),
    max_size: v.optional(count(1)),
  }),
  v.transform(({ type, size, workers, buffer, warm_start, max_size }): Pool => ({
    type,
    warmStart: warm_start,
    ...defined({ size, workers, buffer, maxSize: max_size }),
  })),
)

// Programs are not started: a binding orders nothing.
const boundTo = v.optional(
  v.object({ worker: v.optional(ref(workerKinds, { order: false })), local: v.optional(v.boolean(), false) }),
)
/** `meta.temporal.x.worker` and `meta.x.worker` are one thing. */
const bindings = {
  temporal: v.optional(v.object({ workflow: boundTo, activity: boundTo })),
  workflow: boundTo,
  activity: boundTo,
}
type BindingMeta = v.InferOutput<v.ObjectSchema<typeof bindings, undefined>>

function bindingOf(meta: BindingMeta, role: 'workflow' | 'activity'): Binding | undefined {
  const bound = meta.temporal?.[role] ?? meta[role]
  return bound?.worker === undefined ? undefined : { worker: bound.worker, local: bound.local }
}

export const libraryLua = kind({
  data: v.object({ ...code, method: v.optional(text()) }),
  opaque: ['source'],
  view: ({ source, modules, imports }): LibraryLua => ({ source, modules, imports }),
})

export const functionLua = kind({
  data: v.object({ ...runnable, pool: v.optional(pool, {}) }),
  meta: v.object({ ...bindings, options }),
  opaque: ['source'],
  view: ({ security, ...data }, meta): FunctionLua => ({
    ...data,
    options: meta.options,
    ...defined({ security, activity: bindingOf(meta, 'activity') }),
  }),
})

export const processLua = kind({
  data: v.object(runnable),
  meta: v.object({
    options,
    default_host: v.optional(ref(processHostKinds, { order: false })),
    command: v.optional(v.object({ name: text(), short: v.optional(v.string(), '') })),
  }),
  opaque: ['source'],
  view: ({ security, ...data }, meta): ProcessLua => ({
    ...data,
    options: meta.options,
    ...defined({ security, defaultHost: meta.default_host, command: meta.command }),
  }),
})

export const workflowLua = kind({
  data: v.object(runnable),
  meta: v.object({ ...bindings, options }),
  opaque: ['source'],
  view: ({ security, ...data }, meta): WorkflowLua => ({
    ...data,
    options: meta.options,
    ...defined({ security, worker: bindingOf(meta, 'workflow')?.worker }),
  }),
})

/** Modules whose answers replay, and those that are the workflow's own. */
const deterministicModules = new Set(
  (
    'process channel payload errors funcs contract ctx time uuid crypto workflow ostime json yaml base64 hash html text ' +
    'template compress expr'
  ).split(' '),
)

/** Always there; naming them in `modules` changes nothing. */
const builtInModules = new Set(
  'process channel payload errors coroutine os print string table math subscribe unsubscribe utf8'.split(' '),
)

export const isBuiltInModule = (module: string): boolean => builtInModules.has(module)
/** Whether a workflow, or a library that it imports, may use `module`. */
export const isWorkflowModule = (module: string): boolean =>
  deterministicModules.has(module) || builtInModules.has(module)
export const workflowModules = (): string[] => [...deterministicModules]

import { AppError, entryNamespace } from '@daruma/protocol'
import * as v from 'valibot'
import type { Entry } from './entry.ts'
import { resolveId } from './entry.ts'
import { functionLua, libraryLua, processLua, workflowLua } from './kinds/code.ts'
import { contractBinding, contractDefinition } from './kinds/contract.ts'
import { envFile, envMemory, envOs, envRouter, envStatic, envVariable } from './kinds/env.ts'
import { httpEndpoint, httpRouter, httpService, httpStatic } from './kinds/http.ts'
import { plainEntry, template, templateSet } from './kinds/plain.ts'
import { pgScope, processHost, processService, terminalHost } from './kinds/process.ts'
import { securityPolicy, securityPolicyExpr, tokenStore } from './kinds/security.ts'
import {
  fsDirectory,
  queueConsumer,
  queueDriverJetstream,
  queueDriverMemory,
  queueQueue,
  storeKv,
  storeMemory,
} from './kinds/store.ts'
import { workflowClient, workflowWorker } from './kinds/workflow.ts'
import { nearHint } from './near.ts'
import type { KindSchema } from './schema.ts'
import { traverse } from './traverse.ts'

/** Every kind that an app may use. What is not here is refused when an app is loaded. */
export const kinds = {
  'function.lua': functionLua,
  'process.lua': processLua,
  'workflow.lua': workflowLua,
  'library.lua': libraryLua,
  'process.host': processHost,
  'process.service': processService,
  'terminal.host': terminalHost,
  'pg.scope': pgScope,
  'nats.client': workflowClient,
  'temporal.client': workflowClient,
  'workflow.worker': workflowWorker,
  'temporal.worker': workflowWorker,
  'store.memory': storeMemory,
  'store.kv': storeKv,
  'store.kv.raft': storeKv,
  'store.kv.crdt': storeKv,
  'queue.driver.memory': queueDriverMemory,
  'queue.driver.jetstream': queueDriverJetstream,
  'queue.queue': queueQueue,
  'queue.consumer': queueConsumer,
  'security.policy': securityPolicy,
  'security.policy.expr': securityPolicyExpr,
  'security.token_store': tokenStore,
  'env.storage.memory': envMemory,
  'env.storage.os': envOs,
  'env.storage.static': envStatic,
  'env.storage.file': envFile,
  'env.storage.router': envRouter,
  'env.variable': envVariable,
  'contract.definition': contractDefinition,
  'contract.binding': contractBinding,
  'http.service': httpService,
  'http.router': httpRouter,
  'http.endpoint': httpEndpoint,
  'http.static': httpStatic,
  'fs.directory': fsDirectory,
  'template.set': templateSet,
  'template.jet': template,
  'registry.entry': plainEntry,
  'ns.definition': plainEntry,
  'ns.dependency': plainEntry,
} as const

export type Kind = keyof typeof kinds
export type KindView<K extends Kind> = (typeof kinds)[K] extends KindSchema<infer View> ? View : never

/** Names of all kinds. */
export const kindNames = (): Kind[] => Object.keys(kinds) as Kind[]

export function isKind(name: string): name is Kind {
  return Object.hasOwn(kinds, name)
}

/** The schema of `name`; undefined for a kind that nobody runs. */
export function kindSchema(name: string): KindSchema<unknown> | undefined {
  return isKind(name) ? kinds[name] : undefined
}

/** Whether `kind` is one of `allowed`; `store.*` allows all kinds that start so, `*` any. */
export function matchesKind(kind: string, allowed: readonly string[]): boolean {
  return allowed.some((pattern) =>
    pattern === '*' ? true : pattern.endsWith('.*') ? kind.startsWith(pattern.slice(0, -1)) : kind === pattern,
  )
}

/**
 * An entry as its host reads it: defaults filled in, durations in milliseconds, references as full ids.
 *
 * @throws AppError invalid - the entry is of another kind; or does not fit it, which cannot happen to an entry that came
 * out of `loadApp` or a registry
 */
export function viewOf<const K extends Kind>(entry: Entry, ...wanted: readonly K[]): KindView<K> {
  const name = entry.kind as K
  if (!wanted.includes(name)) {
    throw new AppError('invalid', `${entry.id} is a ${entry.kind}, asked for as ${wanted.join(' or ')}`)
  }
  const schema: KindSchema<unknown> = kinds[name]
  const namespace = entryNamespace(entry.id)
  const parse = (part: KindSchema<unknown>['data'], value: unknown): unknown => {
    const resolved = traverse(part, value, { reference: (_path, text) => resolveId(text, namespace) })
    const parsed = v.safeParse(part, resolved)
    if (parsed.success) return parsed.output
    throw new AppError('invalid', `${entry.id} does not fit ${entry.kind}: ${parsed.issues[0].message}`)
  }
  const data = parse(schema.data, entry.data)
  const meta = schema.meta === undefined ? {} : parse(schema.meta, entry.meta)
  return schema.view(data as never, meta as never) as KindView<K>
}

/** What to tell somebody who wrote the unknown kind `name`. */
export function kindHint(name: string): string | undefined {
  const near = nearHint(name, Object.keys(kinds))
  if (near !== undefined) return near
  const family = name.split('.')[0]!
  const relatives = Object.keys(kinds).filter((known) => known.startsWith(`${family}.`))
  return relatives.length > 0 ? `known kinds of ${family}: ${relatives.join(', ')}` : undefined
}

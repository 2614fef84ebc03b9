import { errorObject } from '../error-object.ts'
import { sessionOf } from '../session.ts'
import { optional, requireInteger, requireName } from './support/args.ts'
import { fallible, type LuaModule } from './support/module.ts'
import { ask } from './requests.ts'

export const systemModule: LuaModule = {
  name: 'system',
  summary: 'The node and its cluster.',
  deterministic: false,
  spec: {
    exit: fallible((ctx, [code]) =>
      ask(sessionOf(ctx), 'system.exit', { code: optional(code, requireInteger, 'exit: code') ?? 0 }, () => [true]),
    ),
    node: {
      id: fallible((ctx) => ask(sessionOf(ctx), 'system.node', null, ({ id }) => [id])),
      addr: fallible((ctx) => ask(sessionOf(ctx), 'system.node', null, ({ address }) => [address])),
    },
    memory: {
      stats: fallible((ctx) =>
        ask(sessionOf(ctx), 'system.memory', null, ({ heapUsedBytes, heapTotalBytes, rssBytes }) => [
          { alloc: heapUsedBytes, heap_alloc: heapUsedBytes, heap_sys: heapTotalBytes, sys: rssBytes },
        ]),
      ),
      allocated: fallible((ctx) => ask(sessionOf(ctx), 'system.memory', null, ({ heapUsedBytes }) => [heapUsedBytes])),
    },
    cluster: {
      members: fallible((ctx) =>
        ask(sessionOf(ctx), 'system.members', null, (members) => [
          members.map(({ id, isLocal, address, meta }) => ({ id, is_local: isLocal, addr: address, meta })),
        ]),
      ),
      size: fallible((ctx) => ask(sessionOf(ctx), 'system.members', null, (members) => [members.length])),
    },
    lock: {
      // Taken by another is an answer (false), not a failure (nil).
      acquire: fallible((ctx, [name]) => {
        const input = { name: requireName(name, 'lock.acquire: name') }
        return sessionOf(ctx).askOutcome({ kind: 'request', handler: 'system.lock', input }, (completion) => {
          if (!('error' in completion)) return [true]
          const error = errorObject(completion.error)
          return completion.error.kind === 'already_exists' ? [false, error] : [undefined, error]
        })
      }),
      release: fallible((ctx, [name]) =>
        ask(sessionOf(ctx), 'system.unlock', { name: requireName(name, 'lock.release: name') }),
      ),
    },
  },
  docs: {
    'system.exit(code?) -> true | nil, error': 'Stops the whole node.',
    'system.node.id(), node.addr() -> text | nil, error': '',
    'system.memory.stats() -> table, memory.allocated() -> number': 'Bytes.',
    'system.cluster.members() -> {{id, is_local, addr, meta}}, cluster.size() -> number': '',
    'system.lock.acquire(name) -> true | false, error | nil, error':
      'false: held by another. Released when the process ends.',
    'system.lock.release(name) -> boolean': 'false: not held.',
  },
}

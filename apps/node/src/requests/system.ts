import { AppError, samePid, type Pid } from '@daruma/protocol'
import type { NodeParts } from '../parts.ts'
import type { RequestHandlers } from './table.ts'

export interface SystemOptions {
  /** Ends the node in good order. Must return at once. */
  readonly exit: (code: number) => void
}

/** The node for its programs. A node that is alone is its own cluster. */
export function systemRequests(
  { name, system }: Pick<NodeParts, 'name' | 'system'>,
  { exit }: SystemOptions,
): RequestHandlers {
  const locks = new Map<string, { readonly holder: Pid; readonly unwatch: () => void }>()

  return {
    'system.node': () => ({ id: name }),
    'system.memory': () => {
      const { heapUsed, heapTotal, rss } = process.memoryUsage()
      return { heapUsedBytes: heapUsed, heapTotalBytes: heapTotal, rssBytes: rss }
    },
    'system.members': () => [
      { id: name, isLocal: true },
      ...system.peers.map(({ node }) => ({ id: node, isLocal: false })),
    ],
    'system.lock': (input, scope) => {
      if (system.isClustered) {
        throw new AppError('invalid', 'locks are not kept across nodes by this version', undefined, {
          retryable: false,
        })
      }
      const held = locks.get(input.name)
      if (held !== undefined) {
        const who = samePid(held.holder, scope.self) ? 'this process itself' : String(held.holder)
        throw new AppError('already_exists', `the lock "${input.name}" is held by ${who}`, undefined, {
          retryable: true,
        })
      }
      const unwatch = system.watchExit(scope.self, () => void locks.delete(input.name))
      locks.set(input.name, { holder: scope.self, unwatch })
      return null
    },
    'system.unlock': (input, scope) => {
      const held = locks.get(input.name)
      if (held === undefined || !samePid(held.holder, scope.self)) return false
      held.unwatch()
      locks.delete(input.name)
      return true
    },
    'system.exit': ({ code }) => {
      exit(code)
      return null
    },
  }
}

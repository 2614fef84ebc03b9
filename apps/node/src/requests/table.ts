import { AppError } from '@daruma/protocol'
import type { RequestName, Requests } from '@daruma/lua'
import type { RequestScope } from '../parts.ts'

/** What the node answers to the requests of Lua modules, by name. A group of them is one file of this folder. */
export type RequestHandlers = {
  readonly [K in RequestName]?: (
    input: Requests[K]['input'],
    scope: RequestScope,
  ) => Requests[K]['output'] | Promise<Requests[K]['output']>
}

/** One function over all groups. A name twice is a mistake of this node's own code. */
export function requestTable(
  groups: readonly RequestHandlers[],
): (handler: string, input: unknown, scope: RequestScope) => unknown {
  const table = new Map<string, (input: never, scope: RequestScope) => unknown>()
  for (const group of groups) {
    for (const [name, handle] of Object.entries(group)) {
      if (table.has(name)) throw new TypeError(`two handlers for ${name}`)
      table.set(name, handle as (input: never, scope: RequestScope) => unknown)
    }
  }
  return (handler, input, scope) => {
    const handle = table.get(handler)
    if (handle === undefined) {
      throw new AppError('unavailable', `this node does not offer ${handler}`, undefined, { retryable: false })
    }
    return handle(input as never, scope)
  }
}

import type { Service } from './service.ts'

/** How something of the node's own is opened and closed: a server, an engine of workflows, a consumer, a host. */
export interface Resource<T> {
  /** See `Service.start` for `signal`. */
  open(signal: AbortSignal): T | Promise<T>
  close(resource: T, deadlineMs: number): void | Promise<void>
  /** See `Run.kill`. */
  kill?(resource: T): void
  /** See `Run.ended`. */
  ended?(resource: T): Promise<void>
}

/** A service that is up while something is open. */
export function resourceService<T>(id: string, resource: Resource<T>): Service {
  return {
    id,
    async start(signal) {
      const opened = await resource.open(signal)
      const kill = resource.kill?.bind(resource)
      const ended = resource.ended?.(opened)
      return {
        stop: async (deadlineMs) => resource.close(opened, deadlineMs),
        ...(kill === undefined ? {} : { kill: () => kill(opened) }),
        ...(ended === undefined ? {} : { ended }),
      }
    },
  }
}

/** A service with nothing to do but stand in its place in the order: what is there with the node, such as a store. */
export function standingService(id: string): Service {
  return resourceService(id, { open: () => undefined, close: () => undefined })
}

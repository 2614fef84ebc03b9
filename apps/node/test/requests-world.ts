import { programBehavior, type ProgramHandlers } from '@daruma/actors'
import { TestSystem, type Probe } from '@daruma/actors/testing'
import { createLua, type RequestName, type Requests } from '@daruma/lua'
import { AppError, seededRng, toWire, type ExitReason, type Pid } from '@daruma/protocol'
import { createRegistry, type Entry, type Registry } from '@daruma/registry'
import type { Functions, RequestScope } from '../src/parts.ts'
import { requestTable, type RequestHandlers } from '../src/requests/table.ts'

/** What the parts of one node share, as far as requests look at it: a real system whose time stands still, a real registry. */
export class World {
  readonly test = new TestSystem()
  readonly system = this.test.system
  readonly clock = this.test.clock
  readonly rng = seededRng('requests')
  readonly name = 'test'
  readonly logs = this.test.logs
  readonly logger = this.system.logger
  readonly registry: Registry
  readonly lua = createLua()
  functions: Functions = { call: () => Promise.reject(new AppError('not_found', 'no functions here')) }

  constructor(entries: readonly Entry[] = []) {
    this.registry = createRegistry(entries)
  }

  /** As a plain object, to be added to. */
  get parts() {
    const { name, system, registry, clock, rng, logger, functions, lua } = this
    return { name, system, registry, clock, rng, logger, functions, lua }
  }

  /** A process that asks by hand. */
  async asker(...groups: readonly RequestHandlers[]): Promise<Asker> {
    const table = requestTable(groups)
    const probe = await this.test.probe()
    const abort = new AbortController()
    const scope: RequestScope = {
      self: probe.pid,
      entry: 'test:asker',
      ctx: probe.ctx as RequestScope['ctx'],
      context: {},
      signal: abort.signal,
    }
    return {
      pid: probe.pid,
      probe,
      abort,
      ask: (name, input) => table(name, input, scope) as never,
      later: async (name, input) => (await table(name, input, scope)) as never,
      failure: async (name, input) => {
        try {
          await table(name, input, scope)
        } catch (error) {
          return toWire(error).kind
        }
        return 'no failure'
      },
      end: () => this.test.system.exit(probe.pid, { kind: 'kill' }),
    }
  }

  /** Spawns a Lua program whose requests go to `groups`. `source` returns a function. */
  program(
    source: string,
    modules: readonly string[],
    groups: readonly RequestHandlers[],
    args: readonly unknown[] = [],
  ): Pid {
    const handlers: ProgramHandlers = { request: requestTable(groups) }
    const create = this.lua.define({ id: 'test:program', kind: 'process', source, modules })
    return this.system.spawn(programBehavior({ entry: 'test:program', args, create, handlers }))
  }

  /** Runs a Lua program to its end: what it returned. */
  async run(source: string, modules: readonly string[], ...groups: readonly RequestHandlers[]): Promise<unknown> {
    const pid = this.program(source, modules, groups)
    return valueOf(await this.test.exitOf(pid))
  }
}

export interface Asker {
  readonly pid: Pid
  readonly probe: Probe
  readonly abort: AbortController
  /** What is answered at once. */
  ask<K extends RequestName>(name: K, input: Requests[K]['input']): Requests[K]['output']
  /** What is answered at once or later. */
  later<K extends RequestName>(name: K, input: Requests[K]['input']): Promise<Requests[K]['output']>
  /** The kind of the error. */
  failure<K extends RequestName>(name: K, input: Requests[K]['input']): Promise<string>
  end(): void
}

function valueOf(reason: ExitReason | undefined): unknown {
  if (reason?.kind === 'normal') return reason.value
  throw new Error(`the program did not return: ${JSON.stringify(reason)}`)
}

import { DownNotice, ExitNotice, type PidCommand, type ProgramScope } from '@daruma/actors'
import { ActorSystem } from '@daruma/actors'
import { AppError, isAppError, Ref, type ExitReason, type Outcome, type Pid } from '@daruma/protocol'
import type { WorkflowDirectory, WorkflowEngine, WorkflowHost } from '@daruma/workflow'

/**
 * Commands of processes about workflows: the same verbs, another home. A send is answered when the workflow's journal
 * has it. Monitors and links are kept in memory: they end with the process that set them, as it ends with this node.
 */
export class WorkflowPids {
  readonly #directory: WorkflowDirectory
  readonly #engines: ReadonlyMap<string, WorkflowEngine>
  readonly #system: ActorSystem
  /** By watcher and workflow: what tells the watch that it is over. */
  readonly #watches = new Map<string, { off: boolean }>()
  #serial = 0

  constructor(directory: WorkflowDirectory, engines: ReadonlyMap<string, WorkflowEngine>, system: ActorSystem) {
    this.#directory = directory
    this.#engines = engines
    this.#system = system
  }

  async route(to: Pid, command: PidCommand, scope: ProgramScope): Promise<null> {
    const host = this.#hostOf(to)
    const workflowId = String(to.id)
    switch (command.kind) {
      case 'send':
        await found(
          to,
          this.#directory.send(to, {
            kind: 'message',
            from: scope.self,
            topic: command.topic,
            payload: command.payload,
          }),
        )
        return null
      case 'exit':
        await found(to, this.#directory.exit(to, command.mode, scope.self, command.reason))
        return null
      case 'monitor':
      case 'link':
        this.#watch(host, to, workflowId, command.kind, scope)
        return null
      case 'unmonitor':
      case 'unlink':
        this.#unwatch(keyOf(command.kind === 'unmonitor' ? 'monitor' : 'link', scope.self, to))
        return null
    }
  }

  #hostOf(to: Pid): WorkflowHost {
    const host = typeof to.id === 'string' ? this.#directory.find(to.home.host) : undefined
    if (host === undefined) throw new AppError('not_found', `process not found: ${to}`, undefined, { retryable: false })
    return host
  }

  #watch(host: WorkflowHost, to: Pid, workflowId: string, how: 'monitor' | 'link', scope: ProgramScope): void {
    const key = keyOf(how, scope.self, to)
    if (this.#watches.has(key)) return
    const engine = this.#engines.get(host.host)
    // Of one that is another node's, its owner knows: waiting for its end says so.
    if (engine === undefined || (engine.owns(workflowId) && engine.describe(workflowId) === undefined)) {
      throw new AppError('not_found', `process not found: ${to}`, undefined, { retryable: false })
    }
    const watch = { off: false }
    this.#watches.set(key, watch)
    const stop = this.#system.watchExit(scope.self, () => this.#unwatch(key))
    void engine.ended(workflowId).then(
      (outcome) => {
        stop()
        const isWanted = !watch.off
        this.#unwatch(key)
        if (isWanted) this.#tell(scope, to, how, outcome)
      },
      () => {
        stop()
        this.#unwatch(key)
      },
    )
  }

  #unwatch(key: string): void {
    const watch = this.#watches.get(key)
    if (watch === undefined) return
    this.#watches.delete(key)
    watch.off = true
  }

  #tell(scope: ProgramScope, workflow: Pid, how: 'monitor' | 'link', outcome: Outcome): void {
    const process = ActorSystem.kernelOf(this.#system).processOf(scope.self)
    if (process === undefined) return
    const reason: ExitReason =
      outcome.error === undefined ? { kind: 'normal', value: outcome.value } : { kind: 'error', error: outcome.error }
    if (how === 'monitor') {
      const { node, incarnation } = this.#system.home
      process.pushNotice(new DownNotice(new Ref(node, incarnation, -++this.#serial), workflow, undefined, reason))
    } else if (scope.ctx.trapExits) {
      process.pushNotice(new ExitNotice(workflow, reason, true))
    } else if (reason.kind === 'error') {
      process.end(reason)
    }
  }
}

function keyOf(how: 'monitor' | 'link', watcher: Pid, workflow: Pid): string {
  return `${how} ${watcher} ${workflow}`
}

/** Programs look for the words "not found", whoever it was that could not be found. */
async function found(to: Pid, delivery: Promise<void>): Promise<void> {
  try {
    await delivery
  } catch (error) {
    if (!isAppError(error, 'not_found') || error.message.includes('not found')) throw error
    const message = `process not found: ${to}: ${error.message}`
    throw new AppError('not_found', message, error.details, { retryable: false, cause: error })
  }
}

import { AppError, type Destination, type Outcome, type Pid } from '@daruma/protocol'
import { raiseRefusal } from './answers.ts'
import type { MessageWake, ParentLink } from './events.ts'
import type { Outside } from './outside.ts'
import type { PartitionAnswer, PartitionRequest, StartRequest } from './requests.ts'

/** What a directory needs of an engine. */
export interface WorkflowHost {
  /** The host id in its workflows' pids. */
  readonly host: string
  readonly taskQueue: string
  submit(request: PartitionRequest): Promise<PartitionAnswer>
  pidOf(workflowId: string): Pid
}

/** What workflows reach beyond workflows. */
export interface ProcessSide {
  /** @throws AppError not_found - nobody there; the workflow is not told, as with any send. */
  send(to: Destination, message: MessageWake): Promise<void>
  exit(to: Destination, mode: 'terminate' | 'cancel', from: Pid, reason: string | undefined): Promise<void>
}

/** The workflow hosts of one node, by host id and by task queue, and the way from one to another. */
export class WorkflowDirectory implements Outside {
  readonly #hosts = new Map<string, WorkflowHost>()
  readonly #processes: ProcessSide | undefined

  constructor(processes?: ProcessSide) {
    this.#processes = processes
  }

  add(host: WorkflowHost): void {
    this.#hosts.set(host.host, host)
    if (!this.#hosts.has(host.taskQueue)) this.#hosts.set(host.taskQueue, host)
  }

  remove(host: WorkflowHost): void {
    for (const [name, known] of this.#hosts) if (known === host) this.#hosts.delete(name)
  }

  find(hostOrQueue: string): WorkflowHost | undefined {
    return this.#hosts.get(hostOrQueue)
  }

  async send(to: Destination, message: MessageWake): Promise<void> {
    const host = this.#hostOf(to)
    if (host === undefined) return this.#outside(to).send(to, message)
    raiseRefusal(await host.submit({ kind: 'message', workflowId: String((to as Pid).id), message }))
  }

  async exit(to: Destination, mode: 'terminate' | 'cancel', from: Pid, reason: string | undefined): Promise<void> {
    const host = this.#hostOf(to)
    if (host === undefined) return this.#outside(to).exit(to, mode, from, reason)
    const workflowId = String((to as Pid).id)
    raiseRefusal(
      await host.submit({
        kind: mode,
        workflowId,
        ...(mode === 'cancel' ? { from } : {}),
        ...(reason === undefined ? {} : { reason }),
      }),
    )
  }

  async startChild(child: Pid, request: StartRequest): Promise<PartitionAnswer> {
    const host = this.#hosts.get(child.home.host)
    if (host === undefined) {
      const known = [...this.#hosts.keys()].join(', ')
      return {
        kind: 'refused',
        error: {
          kind: 'not_found',
          message: `no workflow host "${child.home.host}"; there are: ${known}`,
          retryable: false,
        },
      }
    }
    return host.submit(request)
  }

  async childEnded(parent: ParentLink, child: Pid, result: Outcome): Promise<void> {
    const host = this.#hostOf(parent.pid)
    if (host === undefined) throw new AppError('unavailable', `no workflow host "${parent.pid.home.host}" on this node`)
    await host.submit({
      kind: 'child_end',
      workflowId: String(parent.pid.id),
      run: parent.run,
      id: parent.id,
      from: child,
      result,
    })
  }

  #hostOf(to: Destination): WorkflowHost | undefined {
    return typeof to === 'string' || typeof to.id === 'number' ? undefined : this.#hosts.get(to.home.host)
  }

  #outside(to: Destination): ProcessSide {
    if (this.#processes === undefined)
      throw new AppError('not_found', `no process ${String(to)}: this node has workflows only`)
    return this.#processes
  }
}

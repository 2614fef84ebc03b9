import { appendFileSync } from 'node:fs'
import { toWire } from '@daruma/protocol'
import type { Notice, WorkflowEngine } from '@daruma/workflow'
import { loadWholeApp } from '../app.ts'
import { boot, type RunningNode } from '../compose.ts'
import type { LedgerLine, Order, Report } from './messages.ts'
import type { KillPoint } from './stages.ts'

/**
 * One life of the demonstration's node: the orders app, as `daruma run` boots it, that dies by SIGKILL of its own hand
 * at the very moment that it is told. Configured by its arguments: app folder, data folder, ledger, time scale, NATS.
 */
const [folder, dataFolder, ledger, timeScale, nats] = process.argv.slice(2) as [string, string, string, string, string?]

/** The node, and the moment at which it is to die. */
class Life {
  #deadly: { readonly order: string; readonly point: KillPoint } | undefined
  #node: RunningNode | undefined

  async begin(): Promise<void> {
    const node = await boot(
      loadWholeApp({
        folder,
        dataFolder,
        env: process.env,
        node: 'demonstration',
        logLevel: 'error',
        settings: [`workflow.time_scale=${timeScale}`],
        ...(nats === undefined ? {} : { nats }),
      }),
      { observe: (notice) => this.#observe(notice) },
    )
    this.#node = node
    const [storage] = node.storage()
    tell({ kind: 'up', where: storage!.where, durability: storage!.durability })
  }

  async perform(order: Order): Promise<void> {
    switch (order.kind) {
      case 'kill_at':
        this.#deadly = order
        return
      case 'start': {
        const started = this.#engine.start(order.type, order.args, { id: order.order, requestId: order.order })
        // The request is taken, its commit not yet on its way.
        if (this.#deadly?.point.kind === 'before_first_commit') die()
        await started
        return tell({ kind: 'started', order: order.order })
      }
      case 'signal':
        return this.#engine.send(order.order, order.topic, order.payload, { messageId: `${order.order}-signal` })
      case 'await':
        return tell({ kind: 'ended', order: order.order, outcome: await this.#engine.ended(order.order) })
      case 'stop':
        await this.#node!.stop()
        process.exit(0)
    }
  }

  get #engine(): WorkflowEngine {
    return this.#node!.parts.engines.get('app:temporal_worker')!
  }

  #observe(notice: Notice): void {
    if (notice.kind === 'attempt') {
      const { idempotencyKey: key, target, workflow } = notice
      appendFileSync(ledger, `${JSON.stringify({ key, target, workflow } satisfies LedgerLine)}\n`)
    }
    tell({ kind: 'notice', notice })
    const deadly = this.#deadly
    if (deadly === undefined) return
    const moment = momentOf(notice, deadly.order, deadly.point)
    if (moment === 'now') die()
    if (moment === 'soon') this.#node!.parts.clock.after(700, die)
  }
}

function tell(report: Report): void {
  process.send?.(report)
}

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // The signal is on its way; not one line more may run.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  throw new Error('survived SIGKILL')
}

/** Whether this is where the node dies: at this moment, or soon after it, in the middle of waiting. */
function momentOf(notice: Notice, order: string, point: KillPoint): 'now' | 'soon' | undefined {
  if (!('workflow' in notice) || !notice.workflow.startsWith(order)) return undefined
  const turn = notice.kind === 'recorded' && notice.event.kind === 'turn' ? notice.event : undefined
  switch (point.kind) {
    case 'before_commit_of':
      return notice.kind === 'attempt_ended' && notice.target === point.target ? 'now' : undefined
    case 'before_parent_hears':
      return turn?.end !== undefined && notice.workflow !== order ? 'now' : undefined
    case 'in_sleep':
      return turn?.commands.some(({ command }) => command.kind === 'sleep') === true ? 'soon' : undefined
    case 'waiting_for_message':
      return turn?.wake.kind === 'completed' && turn.commands.length === 0 && turn.end === undefined
        ? 'soon'
        : undefined
    case 'before_first_commit':
      return undefined
  }
}

const failed = (error: unknown, order?: string): void => tell({ kind: 'failed', order, message: toWire(error).message })
const life = new Life()
process.on('message', (order: Order) => {
  life.perform(order).catch((error: unknown) => failed(error, 'order' in order ? order.order : undefined))
})
process.on('disconnect', () => process.exit(1))
await life.begin().catch((error: unknown) => {
  failed(error)
  process.exitCode = 1
  process.disconnect()
})

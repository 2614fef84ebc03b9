import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Outcome } from '@daruma/protocol'
import type { Notice } from '@daruma/workflow'
import type { Order, Report } from './messages.ts'

export interface LifeOptions {
  readonly appFolder: string
  readonly dataFolder: string
  readonly ledger: string
  readonly timeScale: number
  readonly nats: string | undefined
  readonly onNotice: (notice: Notice) => void
}

/** A real process that runs the orders app, and that one may kill. */
export class NodeUnderTest {
  readonly #child: ChildProcess
  readonly #reports: ((report: Report) => void)[] = []
  readonly exited: Promise<void>
  where = ''
  durability = ''

  /** Resolves when the node is up. */
  static async begin(options: LifeOptions): Promise<NodeUnderTest> {
    const node = new NodeUnderTest(options)
    const up = await node.#next((report) => report.kind === 'up')
    if (up.kind === 'up') {
      node.where = up.where
      node.durability = up.durability
    }
    return node
  }

  private constructor(options: LifeOptions) {
    const { appFolder, dataFolder, ledger, timeScale, nats } = options
    const life = fileURLToPath(new URL('./life.js', import.meta.url))
    this.#child = fork(
      life,
      [appFolder, dataFolder, ledger, String(timeScale), ...(nats === undefined ? [] : [nats])],
      {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        serialization: 'advanced',
      },
    )
    this.#child.on('message', (report: Report) => {
      if (report.kind === 'notice') options.onNotice(report.notice)
      for (const listener of [...this.#reports]) listener(report)
    })
    this.exited = new Promise((resolve) => this.#child.once('exit', () => resolve()))
  }

  order(order: Order): void {
    if (this.#child.connected) this.#child.send(order, () => undefined)
  }

  /** The end of an order; undefined when this life ends first. */
  async ended(order: string): Promise<Outcome | undefined> {
    this.order({ kind: 'await', order })
    const report = await this.#next((each) => each.kind === 'ended' && each.order === order, order).catch(
      () => undefined,
    )
    return report?.kind === 'ended' ? report.outcome : undefined
  }

  /** Resolves when the start is acknowledged; false when this life ended first. */
  async start(order: string, type: string, args: readonly unknown[]): Promise<boolean> {
    this.order({ kind: 'start', order, type, args })
    return this.#next((report) => report.kind === 'started' && report.order === order, order).then(
      () => true,
      () => false,
    )
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited
  }

  async stop(): Promise<void> {
    this.order({ kind: 'stop' })
    await this.exited
  }

  /** @param order whose failure ends the wait; without one, the node's */
  #next(wanted: (report: Report) => boolean, order?: string): Promise<Report> {
    return new Promise((resolve, reject) => {
      const listener = (report: Report): void => {
        if (report.kind === 'failed' && report.order === order) finish(() => reject(new Error(report.message)))
        else if (wanted(report)) finish(() => resolve(report))
      }
      const onExit = (): void => finish(() => reject(new Error('the node ended')))
      const finish = (settle: () => void): void => {
        this.#reports.splice(this.#reports.indexOf(listener), 1)
        this.#child.off('exit', onExit)
        settle()
      }
      this.#reports.push(listener)
      this.#child.once('exit', onExit)
    })
  }
}

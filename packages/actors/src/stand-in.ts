import { exitNormal, type ExitReason, type Pid } from '@daruma/protocol'
import type { Behavior } from './behavior.ts'
import type { Kernel } from './kernel.ts'
import { Process } from './process.ts'
import { WAITING } from './process-status.ts'

const elsewhere: Behavior<unknown, unknown, unknown> = { name: 'remote', receive: () => undefined as never }

/**
 * A process of another node, as the links of this one's see it: it is never run, and not in the table. What reaches it as
 * an exit signal travels.
 */
export class StandIn extends Process {
  readonly #travel: (to: StandIn, from: Pid, reason: ExitReason, link: boolean) => void

  constructor(kernel: Kernel, pid: Pid, travel: (to: StandIn, from: Pid, reason: ExitReason, link: boolean) => void) {
    super(kernel, pid, kernel.root, elsewhere, undefined)
    this.#travel = travel
    this.phase = WAITING
    this.irregular = 0
  }

  /** No link of this node's processes needs it any more. */
  get isIdle(): boolean {
    return this.links === undefined || (this.links instanceof Set && this.links.size === 0)
  }

  override push(): undefined {
    return undefined
  }

  override pushBounded(): undefined {
    return undefined
  }

  override pushNotice(): void {}

  override wake(): void {}

  override receiveExit(from: Pid, reason: ExitReason = exitNormal, link = false): void {
    this.#travel(this, from, reason, link)
  }
}

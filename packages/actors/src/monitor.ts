import { Ref, type ExitReason, type NodeId, type Pid } from '@daruma/protocol'
import { DownNotice } from './notice.ts'
import type { Process } from './process.ts'

/**
 * One process (or caller) waiting for the end of another. It is its own reference: dropping it is O(1) from either side.
 * Both sides forget it at the first end, so it pins neither.
 */
export abstract class Monitor extends Ref {
  /** Who watches; undefined for one that lives outside of any process. */
  watcher: Process | undefined
  target: Process | undefined
  previousOfTarget: Monitor | undefined = undefined
  nextOfTarget: Monitor | undefined = undefined
  previousOfWatcher: Monitor | undefined = undefined
  nextOfWatcher: Monitor | undefined = undefined

  constructor(node: NodeId, incarnation: number, serial: number, watcher: Process | undefined) {
    super(node, incarnation, serial)
    this.watcher = watcher
    this.target = undefined
    if (watcher !== undefined) {
      const first = watcher.watching
      this.nextOfWatcher = first
      if (first !== undefined) first.previousOfWatcher = this
      watcher.watching = this
    }
  }

  watch(target: Process): void {
    this.target = target
    // Newest first would tell the watchers in reverse: the end of a process walks this list from its last.
    const first = target.watchers
    this.nextOfTarget = first
    if (first !== undefined) first.previousOfTarget = this
    target.watchers = this
  }

  /** Stops watching. Nothing more comes of it, whatever is already queued. Twice is fine. */
  detach(): void {
    const { target, watcher } = this
    if (target !== undefined) {
      if (this.previousOfTarget === undefined) target.watchers = this.nextOfTarget
      else this.previousOfTarget.nextOfTarget = this.nextOfTarget
      if (this.nextOfTarget !== undefined) this.nextOfTarget.previousOfTarget = this.previousOfTarget
      this.target = this.previousOfTarget = this.nextOfTarget = undefined
    }
    if (watcher !== undefined) {
      if (this.previousOfWatcher === undefined) watcher.watching = this.nextOfWatcher
      else this.previousOfWatcher.nextOfWatcher = this.nextOfWatcher
      if (this.nextOfWatcher !== undefined) this.nextOfWatcher.previousOfWatcher = this.previousOfWatcher
      this.watcher = this.previousOfWatcher = this.nextOfWatcher = undefined
    }
  }

  /** The target ended, or was not there. Called once, detached. `from` is the pid that ended. */
  abstract fire(from: Pid | undefined, reason: ExitReason): void

  /** The watcher ended. Called once, detached. */
  abandon(): void {}
}

/** Tells a process by a `down` notice. */
export class DownMonitor extends Monitor {
  readonly name: string | undefined

  constructor(node: NodeId, incarnation: number, serial: number, watcher: Process, name: string | undefined) {
    super(node, incarnation, serial, watcher)
    this.name = name
  }

  fire(from: Pid | undefined, reason: ExitReason): void {
    const watcher = this.watcher!
    this.detach()
    watcher.pushNotice(new DownNotice(this, from, this.name, reason))
  }
}

/** Tells a function, outside of any process. */
export class ExitWatch extends Monitor {
  readonly #tell: (reason: ExitReason) => void

  constructor(node: NodeId, incarnation: number, serial: number, tell: (reason: ExitReason) => void) {
    super(node, incarnation, serial, undefined)
    this.#tell = tell
  }

  fire(_from: Pid | undefined, reason: ExitReason): void {
    this.detach()
    this.#tell(reason)
  }
}

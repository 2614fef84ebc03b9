import { AppError, Ref, type Pid } from '@daruma/protocol'
import type { Kernel } from './kernel.ts'
import { GroupNotice } from './notice.ts'
import type { Owned, Process } from './process.ts'

class Membership implements Owned {
  readonly group: Group
  readonly process: Process

  constructor(group: Group, process: Process) {
    this.group = group
    this.process = process
  }

  ownerEnded(): void {
    this.group.remove(this.process)
  }
}

class GroupMonitor extends Ref implements Owned {
  readonly group: Group
  readonly process: Process

  constructor(kernel: Kernel, group: Group, process: Process) {
    super(kernel.home.node, kernel.home.incarnation, kernel.nextSerial())
    this.group = group
    this.process = process
  }

  ownerEnded(): void {
    this.group.monitors.delete(this)
    this.group.forgetIfEmpty()
  }
}

class Group {
  readonly name: string
  readonly members = new Map<Process, Membership>()
  readonly monitors = new Set<GroupMonitor>()
  readonly #groups: Map<string, Group>

  constructor(name: string, groups: Map<string, Group>) {
    this.name = name
    this.#groups = groups
  }

  add(process: Process): void {
    if (this.members.has(process)) return
    const membership = new Membership(this, process)
    this.members.set(process, membership)
    process.own(membership)
    this.#tell('joined', process.pid)
  }

  remove(process: Process): boolean {
    const membership = this.members.get(process)
    if (membership === undefined) return false
    this.members.delete(process)
    process.extras?.owned?.delete(membership)
    this.#tell('left', process.pid)
    this.forgetIfEmpty()
    return true
  }

  forgetIfEmpty(): void {
    if (this.members.size === 0 && this.monitors.size === 0) this.#groups.delete(this.name)
  }

  #tell(change: 'joined' | 'left', pid: Pid): void {
    for (const monitor of this.monitors) {
      monitor.process.pushNotice(new GroupNotice(monitor, this.name, change, pid))
    }
  }
}

/** Processes under a common name, in order of joining. A process leaves by ending; an empty group is no group. */
export class Groups {
  readonly #kernel: Kernel
  readonly #groups = new Map<string, Group>()

  constructor(kernel: Kernel) {
    this.#kernel = kernel
  }

  /** Joining twice is once. @throws AppError invalid - no living process here */
  join(group: string, pid: Pid): void {
    this.#group(group).add(this.#member(group, pid))
  }

  /** False when it was no member. */
  leave(group: string, pid: Pid): boolean {
    const process = this.#kernel.processOf(pid)
    return process !== undefined && (this.#groups.get(group)?.remove(process) ?? false)
  }

  members(group: string): readonly Pid[] {
    return Array.from(this.#groups.get(group)?.members.keys() ?? [], (process) => process.pid)
  }

  /** Groups that have members or monitors. */
  names(): readonly string[] {
    return [...this.#groups.keys()]
  }

  /** Sends to every member, in order of joining. Returns how many there were. */
  broadcast(group: string, message: unknown): number {
    const found = this.#groups.get(group)
    if (found === undefined) return 0
    for (const process of found.members.keys()) this.#kernel.send(process.pid, message)
    return found.members.size
  }

  /** From now on `watcher` gets `group` notices; `members` is what they start from. */
  monitor(group: string, watcher: Pid): { readonly ref: Ref; readonly members: readonly Pid[] } {
    const process = this.#member(group, watcher)
    const found = this.#group(group)
    const ref = new GroupMonitor(this.#kernel, found, process)
    found.monitors.add(ref)
    process.own(ref)
    return { ref, members: this.members(group) }
  }

  demonitor(ref: Ref): void {
    if (!(ref instanceof GroupMonitor)) return
    ref.process.extras?.owned?.delete(ref)
    ref.ownerEnded()
  }

  #group(name: string): Group {
    let group = this.#groups.get(name)
    if (group === undefined) this.#groups.set(name, (group = new Group(name, this.#groups)))
    return group
  }

  #member(group: string, pid: Pid): Process {
    const process = this.#kernel.processOf(pid)
    if (process === undefined) {
      throw new AppError('invalid', `group "${group}": ${pid} is not a living process here`, { group, pid })
    }
    return process
  }
}

/** Publish and subscribe by exact topic, within this system. A subscription ends with its process. */
export class Topics {
  readonly #groups: Groups

  constructor(kernel: Kernel) {
    this.#groups = new Groups(kernel)
  }

  /** Twice is once. @throws AppError invalid - no living process here */
  subscribe(topic: string, pid: Pid): void {
    this.#groups.join(topic, pid)
  }

  unsubscribe(topic: string, pid: Pid): boolean {
    return this.#groups.leave(topic, pid)
  }

  /** To every subscriber, in order of subscription. Returns how many there were; none is no error. */
  publish(topic: string, message: unknown): number {
    return this.#groups.broadcast(topic, message)
  }

  subscribers(topic: string): readonly Pid[] {
    return this.#groups.members(topic)
  }
}

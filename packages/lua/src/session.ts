import { AppError, formatPid } from '@daruma/protocol'
import type { Command, ProgramHost, WireError } from '@daruma/protocol'
import { suspend } from './engine.ts'
import type { HostContext, HostResult, HostValue, LuaFunction, LuaValue, Proc, ProcPorts } from './engine.ts'
import { failure } from './error-object.ts'
import type { LoadedProgram, ModuleCatalog } from './definition.ts'
import { GuardedHost } from './guarded-host.ts'
import { Mailbox } from './mailbox.ts'
import type { ZoneTable } from './modules/support/zone.ts'
import { revive } from './revive.ts'

/** How a pending command ended. */
export type Completion = { readonly value: unknown } | { readonly error: WireError }

/** How a command was answered, when the program does not wait for it. */
export type Issued =
  | { readonly kind: 'done'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly error: WireError }
  | { readonly kind: 'pending'; readonly id: number }

export interface SessionOptions {
  readonly host: ProgramHost
  readonly program: LoadedProgram
  readonly catalog: ModuleCatalog
  readonly zones: ZoneTable
}

/**
 * What the modules of one running program share: the host's ear, the mailbox, and who waits for which command.
 * Handed to every host function as `ctx.local`.
 */
export class Session implements ProcPorts {
  readonly host: GuardedHost
  readonly program: LoadedProgram
  readonly catalog: ModuleCatalog
  readonly zones: ZoneTable
  #proc: Proc | undefined
  #mailbox: Mailbox | undefined
  #become: { readonly target: string | undefined; readonly args: readonly unknown[] } | undefined
  #topicSerial = 0
  // Most programs need none of these, and an empty map is not small.
  #listeners: Map<number, (completion: Completion) => void> | undefined
  #queries: Map<string, LuaFunction> | undefined
  #loaded: Map<string, LuaValue> | undefined
  #slots: Map<string, unknown> | undefined

  constructor(options: SessionOptions) {
    this.host = new GuardedHost(options.host)
    this.program = options.program
    this.catalog = options.catalog
    this.zones = options.zones
  }

  attach(proc: Proc): void {
    this.#proc = proc
    this.#mailbox = new Mailbox(proc)
  }

  get proc(): Proc {
    if (this.#proc === undefined) throw new TypeError('session used before its process was made')
    return this.#proc
  }

  get mailbox(): Mailbox {
    if (this.#mailbox === undefined) throw new TypeError('session used before its process was made')
    return this.#mailbox
  }

  get queries(): Map<string, LuaFunction> {
    return (this.#queries ??= new Map())
  }

  /** Results of the chunks that this program imports, by unit name. */
  get loaded(): Map<string, LuaValue> {
    return (this.#loaded ??= new Map())
  }

  /** Per-module memory of this program, by the module's name. */
  get slots(): Map<string, unknown> {
    return (this.#slots ??= new Map())
  }

  get isWorkflow(): boolean {
    return this.host.workflow !== undefined
  }

  get selfText(): string {
    return formatPid(this.host.self)
  }

  /** Something outside of the program could wake it: a pending timer or call nobody blocks on, or a subscription. */
  get isWakeable(): boolean {
    return (this.#listeners?.size ?? 0) > 0 || this.mailbox.isOpen
  }

  /** Issues `command` for the calling coroutine, which waits for its result. A failure is `nil, error`. */
  ask(command: Command, then: (value: unknown) => HostResult = (value) => [this.revive(value)]): HostResult {
    return this.askOutcome(command, (completion) =>
      'error' in completion ? failure(completion.error) : then(completion.value),
    )
  }

  /** As `ask`, for those to whom a failure is one more outcome. */
  askOutcome(command: Command, then: (completion: Completion) => HostResult): HostResult {
    const answer = this.host.issue(command)
    switch (answer.kind) {
      case 'done':
        return then({ value: answer.value })
      case 'refused':
        return then({ error: answer.error })
      case 'pending':
        return suspend(answer.id, (_ctx, [completion]) => then(completion as Completion))
    }
  }

  /** Asks the app's handler of that name. See modules/requests.ts. */
  request(handler: string, input: unknown, then?: (value: unknown) => HostResult): HostResult {
    return this.ask({ kind: 'request', handler, input }, then)
  }

  failed(error: WireError): HostResult {
    return failure(error)
  }

  /** Issues `command` and goes on; `onEnd` hears how it ended, at once if it ended at once. */
  issue(command: Command, onEnd: (completion: Completion) => void): Issued {
    const answer = this.host.issue(command)
    if (answer.kind === 'pending') (this.#listeners ??= new Map()).set(answer.id, onEnd)
    else if (answer.kind === 'done') onEnd({ value: answer.value })
    return answer
  }

  /** Stops listening to a pending command that was issued with `issue`. False: it has ended before. */
  forget(id: number): boolean {
    return this.#listeners?.delete(id) === true
  }

  complete(id: number, completion: Completion): void {
    const listener = this.#listeners?.get(id)
    if (listener === undefined) {
      this.proc.settle(id, { kind: 'values', values: [completion] })
      return
    }
    this.#listeners?.delete(id)
    listener(completion)
  }

  // What the engine asks of the outside. Methods, not closures: every process would have its own.

  nowMs(): number {
    return this.host.nowMs()
  }

  random(): number {
    return unitFrom(this.host.randomBytes(8))
  }

  print(line: string): void {
    if (this.program.entry.definition.terminal === true) {
      const input = { stream: 'stdout', data: `${line}\n` }
      this.issue({ kind: 'request', handler: 'io.write', input }, () => undefined)
    } else {
      this.host.log('info', line)
    }
  }

  warn(message: string, where: string): void {
    this.host.log('warn', `${where}: ${message}`)
  }

  /** Wall clock in nanoseconds. Within a process no two readings are equal; in a workflow it stands still for a turn. */
  nowNanoseconds(): bigint {
    const nowMs = this.host.nowMs()
    const whole = BigInt(Math.floor(nowMs)) * 1_000_000n
    if (this.isWorkflow) return whole
    let clock = this.slots.get('clock') as { offset: bigint; last: bigint } | undefined
    if (clock === undefined) {
      // Names are built from unix_nano(): two processes that start within one millisecond shall not agree on it.
      const [a = 0, b = 0, c = 0] = this.host.randomBytes(3)
      clock = { offset: BigInt(((a << 16) | (b << 8) | c) % 900_000), last: 0n }
      this.slots.set('clock', clock)
    }
    const reading = whole + clock.offset
    clock.last = reading > clock.last ? reading : clock.last + 1n
    return clock.last
  }

  /** A topic that no other program can send to by name: for what the host delivers to this program. */
  privateTopic(prefix: string): string {
    this.#topicSerial += 1
    return `@${prefix}/${this.#topicSerial}`
  }

  /** Leaves this code: the program's next answer is `become`. Not one more line of it runs. */
  become(target: string | undefined, args: readonly unknown[]): void {
    this.#become = { target, args }
    this.proc.kill('became other code')
  }

  get successor(): { readonly target: string | undefined; readonly args: readonly unknown[] } | undefined {
    return this.#become
  }

  /** Data that came from outside, as Lua may have it; what lies within is converted when Lua gets it. */
  revive(value: unknown): HostValue {
    return revive(value, this.zones)
  }
}

export const sessionOf = (ctx: HostContext): Session => ctx.local as Session

export const canceled = (message = 'canceled'): AppError =>
  new AppError('canceled', message, undefined, { retryable: false })

/** Uniform in [0, 1) from eight uniform bytes. */
function unitFrom(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return (view.getUint32(0) >>> 5) * 2 ** -27 + (view.getUint32(4) >>> 6) * 2 ** -53
}

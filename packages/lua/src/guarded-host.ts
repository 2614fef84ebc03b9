import { AppError } from '@daruma/protocol'
import type { Answer, Command, LogLevel, Pid, ProgramHost, WorkflowInfo } from '@daruma/protocol'

/**
 * The host as a program's modules see it. While a query reads the program's state, nothing may be asked of the host and
 * nothing drawn from its generator: a query leaves no trace in what the program does next.
 */
export class GuardedHost implements ProgramHost {
  readonly #host: ProgramHost
  #isReading = false

  constructor(host: ProgramHost) {
    this.#host = host
  }

  get self(): Pid {
    return this.#host.self
  }

  get entry(): string {
    return this.#host.entry
  }

  get context(): Readonly<Record<string, unknown>> {
    return this.#host.context
  }

  get workflow(): WorkflowInfo | undefined {
    return this.#host.workflow
  }

  issue(command: Command): Answer {
    if (this.#isReading) throw onlyReads(command.kind)
    return this.#host.issue(command)
  }

  nowMs(): number {
    return this.#host.nowMs()
  }

  randomBytes(count: number): Uint8Array {
    if (this.#isReading) throw onlyReads('random')
    return this.#host.randomBytes(count)
  }

  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#host.log(level, message, fields)
  }

  /** Runs `read` under the guard. */
  reading<T>(read: () => T): T {
    this.#isReading = true
    try {
      return read()
    } finally {
      this.#isReading = false
    }
  }
}

const onlyReads = (what: string): AppError =>
  new AppError('invalid', `a query handler only reads: it may not ask its host (${what})`, undefined, {
    retryable: false,
  })

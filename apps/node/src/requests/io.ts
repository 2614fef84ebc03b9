import type { Readable, Writable } from 'node:stream'
import type { ActorSystem } from '@daruma/actors'
import { AppError, type Pid } from '@daruma/protocol'
import { InputReader } from './input-reader.ts'
import type { RequestHandlers } from './table.ts'

/** What a command's process reads and writes. */
export interface TerminalIo {
  readonly stdout: Writable
  readonly stderr: Writable
  readonly stdin: Readable
  /** What stood on the command line behind the command's name. */
  readonly args: readonly string[]
}

interface Attached {
  readonly io: TerminalIo
  readonly input: InputReader
}

/** Which processes have a terminal: those that were given one, each until it ends. */
export class Terminals {
  readonly #system: ActorSystem
  readonly #defaults: Omit<TerminalIo, 'args'>
  readonly #attached = new Map<string, Attached>()

  /** @param defaults what `attach` uses where it is given nothing else: the streams of this process, usually */
  constructor(system: ActorSystem, defaults: Omit<TerminalIo, 'args'>) {
    this.#system = system
    this.#defaults = defaults
  }

  /** To be called in the turn in which the process was spawned: it may ask in its first. */
  attach(pid: Pid, given: Partial<TerminalIo>): void {
    const io = { args: [], ...this.#defaults, ...given }
    const key = String(pid)
    this.#attached.set(key, { io, input: new InputReader(io.stdin) })
    this.#system.watchExit(pid, () => void this.#attached.delete(key))
  }

  /** @throws AppError unavailable - a process without one */
  of(pid: Pid): Attached {
    const attached = this.#attached.get(String(pid))
    if (attached !== undefined) return attached
    throw new AppError(
      'unavailable',
      'this process has no terminal; only the process of a command has one',
      undefined,
      {
        retryable: false,
      },
    )
  }
}

export function ioRequests(terminals: Terminals): RequestHandlers {
  return {
    'io.write': ({ stream, data }, scope) => write(terminals.of(scope.self).io[stream], data),
    'io.flush': async (_input, scope) => {
      const { io } = terminals.of(scope.self)
      await Promise.all([flushed(io.stdout), flushed(io.stderr)])
      return null
    },
    'io.read': async ({ maxBytes }, scope) => terminals.of(scope.self).input.read(maxBytes),
    'io.readline': (_input, scope) => terminals.of(scope.self).input.readLine(),
    'io.args': (_input, scope) => terminals.of(scope.self).io.args,
  }
}

/** Answers at once while the stream takes more: who writes faster than it is read waits. */
function write(stream: Writable, data: string | Uint8Array): null | Promise<null> {
  if (stream.destroyed || stream.writableEnded) {
    throw new AppError('unavailable', 'nobody reads this output any more', undefined, { retryable: false })
  }
  if (stream.write(data)) return null
  return new Promise((resolve) => {
    const on = (): void => {
      stream.off('drain', on).off('close', on)
      resolve(null)
    }
    stream.on('drain', on).on('close', on)
  })
}

function flushed(stream: Writable): Promise<void> {
  if (stream.destroyed || stream.writableEnded) return Promise.resolve()
  return new Promise((resolve) => void stream.write('', () => resolve()))
}

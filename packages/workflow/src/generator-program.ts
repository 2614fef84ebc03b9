import type { MessageEvent, Program, ProgramEvent, ProgramHost, Step } from '@daruma/protocol'
import { createContext, type FormOf } from './context.ts'
import type { GeneratorContext } from './define.ts'
import { Scheduler, type Future, type Steps } from './future.ts'
import { insideTurn } from './guard.ts'
import { endedWith, Session } from './session.ts'

/**
 * A workflow written as a generator. Answers a turn at once: nothing in it waits for the machine's own queues, so that
 * many run in the time that one async workflow takes.
 */
export class GeneratorProgram implements Program {
  readonly #run: (context: GeneratorContext, input: never) => Steps<unknown>
  readonly #scheduler = new Scheduler()
  #session!: Session
  #end: Step | undefined

  constructor(run: (context: GeneratorContext, input: never) => Steps<unknown>) {
    this.#run = run
  }

  start(host: ProgramHost, args: readonly unknown[]): Step {
    const scheduler = this.#scheduler
    const session = new Session(host, (handler, { resolve, reject }) => {
      scheduler
        .begin(() => asSteps(handler))
        .whenSettled((end) => ('error' in end ? reject(end.error) : resolve(end.value)))
    })
    this.#session = session
    session.begin()
    const context = createContext(session, futures(scheduler)) as GeneratorContext
    return insideTurn(session, () => {
      scheduler
        .begin(() => this.#run(context, args[0] as never))
        .whenSettled((end) => {
          this.#end ??= 'error' in end ? endedWith(end.error) : { kind: 'returned', value: end.value }
        })
      return this.#settle()
    })
  }

  resume(event: ProgramEvent): Step {
    return insideTurn(this.#session, () => {
      this.#session.take(event)
      return this.#settle()
    })
  }

  stop(): void {
    this.#session?.stop()
  }

  unread(): readonly MessageEvent[] {
    return this.#session.unread()
  }

  query(name: string, args: readonly unknown[]): unknown {
    return this.#session.query(name, args)
  }

  checkUpdate(name: string, args: readonly unknown[]): void {
    this.#session.checkUpdate(name, args)
  }

  #settle(): Step {
    const scheduler = this.#scheduler
    scheduler.drain()
    while (this.#end === undefined && this.#session.wakeCondition()) scheduler.drain()
    const unseen = scheduler.unseenFailure
    return this.#session.endTurn(this.#end ?? (unseen && endedWith(unseen.error)))
  }
}

function futures(scheduler: Scheduler): FormOf<'generator'> {
  return {
    wait<T>(begin: (settle: { resolve(value: T): void; reject(error: unknown): void }) => void): Future<T> {
      const future = scheduler.deferred<T>()
      try {
        begin(future)
      } catch (error) {
        future.reject(error)
      }
      return future
    },
    run: <T>(body: () => Steps<T> | Future<T>, onEnd: () => void) =>
      scheduler.begin(function* () {
        try {
          return yield* body()
        } finally {
          onEnd()
        }
      }),
    extras: {
      all: <T>(futures: readonly Future<T>[]) => scheduler.all(futures),
      race: <T>(futures: readonly Future<T>[]) => scheduler.race(futures),
      fork: <T>(body: () => Steps<T>) => scheduler.begin(body),
    },
  }
}

/** A handler may be a generator, or a plain function. */
function* asSteps(handler: () => unknown): Steps<unknown> {
  const answer = handler()
  return isSteps(answer) ? yield* answer : answer
}

function isSteps(value: unknown): value is Steps<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value && 'throw' in value
}

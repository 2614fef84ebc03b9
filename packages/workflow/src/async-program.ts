import {
  isAppError,
  type MessageEvent,
  type Program,
  type ProgramEvent,
  type ProgramHost,
  type Step,
} from '@daruma/protocol'
import { createContext, type FormOf } from './context.ts'
import type { WorkflowContext } from './define.ts'
import { insideTurn } from './guard.ts'
import { microtasksDry } from './microtasks.ts'
import { endedWith, Session } from './session.ts'

/** A workflow written as an async function. Answers a turn when its microtasks have run dry. */
export class AsyncProgram implements Program {
  readonly #run: (context: WorkflowContext, input: never) => Promise<unknown>
  #session!: Session
  #end: Step | undefined

  constructor(run: (context: WorkflowContext, input: never) => Promise<unknown>) {
    this.#run = run
  }

  start(host: ProgramHost, args: readonly unknown[]): Promise<Step> {
    const session = new Session(host, (handler, { resolve, reject }) => {
      insideTurn(session, () => startNow(handler)).then(resolve, reject)
    })
    this.#session = session
    session.begin()
    const context = createContext(session, promises)
    insideTurn(session, () => startNow(() => this.#run(context, args[0] as never))).then(
      (value) => {
        if (!session.endedOutOfTurn()) this.#end ??= { kind: 'returned', value }
      },
      (error: unknown) => {
        if (!session.endedOutOfTurn()) this.#end ??= endedWith(error)
      },
    )
    return this.#settle()
  }

  resume(event: ProgramEvent): Promise<Step> {
    this.#session.take(event)
    return this.#settle()
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

  async #settle(): Promise<Step> {
    await microtasksDry()
    while (this.#end === undefined && this.#session.wakeCondition()) await microtasksDry()
    return this.#session.endTurn(this.#end)
  }
}

const promises: FormOf<'async'> = {
  wait: (begin) => quiet(new Promise((resolve, reject) => begin({ resolve, reject }))),
  async run(body, onEnd) {
    try {
      return await body()
    } finally {
      onEnd()
    }
  },
  extras: {},
}

/** Runs up to the first wait at once, and turns what is thrown on the way into a rejection. */
async function startNow<T>(run: () => T): Promise<Awaited<T>> {
  return await run()
}

/** A failure that nobody awaited must not take the node down; one that somebody awaits still reaches them. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}

/** True for the error that a cancelled wait fails with. */
export function isCanceled(error: unknown): boolean {
  return isAppError(error, 'canceled')
}

import { AsyncLocalStorage } from 'node:async_hooks'
import { AppError } from '@daruma/protocol'

/** Who is told when code of a turn does what no journal can repeat. */
export interface TurnWatch {
  hazard(error: AppError): void
}

const turns = new AsyncLocalStorage<TurnWatch>()
/** The patch is of the process, so that the process holds its state: one entry per copy of this file that is loaded. */
const mark = Symbol.for('@daruma/workflow.guard')
const world = globalThis as unknown as Record<string | symbol, unknown>

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown

const hints: Readonly<Record<string, string>> = {
  'Date.now()': 'use ctx.now()',
  'new Date without arguments': 'use new Date(ctx.now())',
  'performance.now()': 'use ctx.now()',
  'Math.random()': 'use ctx.random()',
  'crypto.randomUUID()': 'use ctx.uuid()',
  'crypto.getRandomValues()': 'use ctx.random() or ctx.uuid()',
  'setTimeout()': 'use ctx.sleep(...)',
  'setInterval()': 'use ctx.sleep(...) in a loop',
  'setImmediate()': 'nothing needs it here: the code of a turn runs until it waits',
  'fetch()': 'call it in a function, through ctx.call',
}

/**
 * From now on time, chance, timers and fetch that are used by the code of a workflow fail that workflow with their name
 * and line, and a rejection that nobody handled fails the workflow it came from instead of the process. Outside of
 * workflows everything does as before. Answers what takes it all back.
 *
 * A host asks for it once, at its start: it patches the globals of the process. Asked for again, it counts.
 */
export function guardGlobals(): () => void {
  const installed = (world[mark] as Installed | undefined) ?? new Installed()
  world[mark] = installed
  installed.users++
  let isReleased = false
  return () => {
    if (isReleased) return
    isReleased = true
    if (--installed.users > 0) return
    installed.remove()
    delete world[mark]
    turns.disable()
  }
}

export function isGuarded(): boolean {
  return world[mark] !== undefined
}

/** Runs code of a workflow: what it does, also after waiting, is told to `watch`. Free while nothing is guarded. */
export function insideTurn<T>(watch: TurnWatch, run: () => T): T {
  return isGuarded() ? turns.run(watch, run) : run()
}

/** Runs code of the host that a workflow called, such as a logger: it may look at the clock. */
export function outsideTurn<T>(run: () => T): T {
  return isGuarded() ? turns.exit(run) : run()
}

/** `file:line: `, where the author's code stands in the stack of an error; empty when it does not. */
export function placeOf(error: Error): string {
  for (const line of (error.stack ?? '').split('\n')) {
    const place = /(?:\(|at (?:async )?)((?:file:\/\/|\/|[A-Za-z]:\\)[^()]*:\d+):\d+\)?$/.exec(line)?.[1]
    if (place === undefined || isOurs(place)) continue
    return `${place.replace(/^file:\/\//, '').replace(/\?[^:]*/, '')}: `
  }
  return ''
}

const ownFolder = new URL('.', import.meta.url).pathname

function isOurs(place: string): boolean {
  return place.includes('node:internal') || place.replace(/^file:\/\//, '').startsWith(ownFolder)
}

class Installed {
  users = 0
  readonly #undo: (() => void)[] = []

  constructor() {
    this.#guardDate()
    this.#guard(Math, 'random', 'Math.random()')
    this.#guard(world.performance as object, 'now', 'performance.now()')
    this.#guard(world.crypto as object, 'randomUUID', 'crypto.randomUUID()')
    this.#guard(world.crypto as object, 'getRandomValues', 'crypto.getRandomValues()')
    for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'fetch'])
      this.#guard(globalThis, name, `${name}()`)
    const onRejection = (reason: unknown): void => unhandled(reason)
    process.on('unhandledRejection', onRejection)
    this.#undo.push(() => process.off('unhandledRejection', onRejection))
  }

  remove(): void {
    for (const undo of this.#undo.splice(0).toReversed()) undo()
  }

  #guard(owner: object, name: string, what: string): void {
    const original = (owner as Record<string, unknown>)[name] as AnyFunction | undefined
    if (original === undefined) return
    const guarded = function (this: unknown, ...args: unknown[]): unknown {
      check(what)
      return original.apply(this, args)
    }
    // setTimeout carries its promisified form.
    for (const key of Reflect.ownKeys(original)) {
      if (key === 'prototype') continue
      Object.defineProperty(guarded, key, Object.getOwnPropertyDescriptor(original, key)!)
    }
    this.#replace(owner, name, guarded)
  }

  #guardDate(): void {
    const original = world.Date as DateConstructor
    this.#guard(original, 'now', 'Date.now()')
    const guarded: DateConstructor = new Proxy(original, {
      construct(target, args, newTarget) {
        if (args.length === 0) check('new Date without arguments')
        return Reflect.construct(target, args, newTarget === guarded ? target : newTarget) as object
      },
      apply(target, self, args) {
        check('new Date without arguments')
        return Reflect.apply(target, self, args)
      },
    })
    this.#replace(original.prototype, 'constructor', guarded)
    this.#replace(globalThis, 'Date', guarded)
  }

  #replace(owner: object, name: string, value: unknown): void {
    const before = Object.getOwnPropertyDescriptor(owner, name)
    Object.defineProperty(owner, name, {
      value,
      configurable: true,
      enumerable: before?.enumerable ?? true,
      writable: true,
    })
    this.#undo.push(() => {
      if (before === undefined) delete (owner as Record<string, unknown>)[name]
      else Object.defineProperty(owner, name, before)
    })
  }
}

function check(what: string): void {
  const watch = turns.getStore()
  if (watch === undefined) return
  const hazard = new AppError('invalid', what, undefined, { retryable: false })
  hazard.message = `${placeOf(hazard)}${what} in a workflow gives another answer when its journal is replayed; ${hints[what]}`
  watch.hazard(hazard)
  throw hazard
}

/** A branch of a workflow failed and nobody looks: it is that workflow's failure. Any other is the process's, as before. */
function unhandled(reason: unknown): void {
  const watch = turns.getStore()
  if (watch !== undefined) {
    const { message, kind } =
      reason instanceof AppError ? reason : { message: String(reason), kind: 'internal' as const }
    const place = reason instanceof Error ? placeOf(reason) : ''
    watch.hazard(
      new AppError(kind, `${place}a branch of the workflow failed and nobody awaited it: ${message}`, undefined, {
        retryable: false,
        cause: reason,
      }),
    )
  } else if (process.listenerCount('unhandledRejection') === 1) {
    throw reason
  }
}

import type { Limits } from '../engine.ts'
import { Meter } from './meter.ts'
import { Abort } from './native.ts'
import type { LuaState, TValue, Table } from './types.ts'

/** Instructions between two looks at the budgets. */
const countStep = 10_000

/**
 * What a process may use, and the order to end it. Once there is an `abort`, it stays: whoever comes by throws it
 * (only an evaluation that ran too long takes its own back).
 */
export class Budget {
  readonly limits: Limits
  /** Instructions between two calls of `counted`. */
  readonly step: number
  readonly #meter: Meter
  #abort: Abort | undefined
  #instructions = 0
  #slice = 0
  #slices = 0
  #evaluationLeft: number | undefined

  constructor(limits: Limits, roots: () => Iterable<TValue | LuaState | Table>) {
    this.limits = limits
    this.step = Math.max(1, Math.min(countStep, limits.sliceInstructions))
    this.#meter = new Meter(limits.memoryBytes, roots)
  }

  get abort(): Abort | undefined {
    return this.#abort
  }
  get instructions(): number {
    return this.#instructions
  }
  get slices(): number {
    return this.#slices
  }
  get memoryBytes(): number {
    return this.#meter.bytes
  }
  get isSliceOver(): boolean {
    return this.#slice >= this.limits.sliceInstructions
  }

  beginSlice(): void {
    this.#slices++
    this.#slice = 0
  }

  /** Instructions that no `counted` has seen. Negative where it saw more than were executed. */
  executed(instructions: number): void {
    this.#instructions += instructions
    this.#slice += instructions
  }

  /** One step of instructions is over. True: the slice is, too. @throws Abort */
  counted(): boolean {
    this.executed(this.step)
    this.throwIfAborted()
    this.#checkQuota()
    if (this.#evaluationLeft === undefined) return this.isSliceOver
    this.#evaluationLeft -= this.step
    if (this.#evaluationLeft < 0) throw this.doom('the evaluation used up its slice of instructions')
    return false
  }

  /** Work of a native function, in instructions: long calls use up the slice as loops do. @throws Abort */
  charge(L: LuaState, instructions: number): void {
    // What fits in before the next look is counted there; the look then comes at the next instruction.
    const early = Math.max(0, Math.min(L.hookcount - 1, instructions))
    L.hookcount -= early
    const rest = instructions - early
    if (rest <= 0) return
    this.executed(rest)
    this.#checkQuota()
  }

  /** False: the process holds too much, and is doomed. */
  allocated(bytes: number): boolean {
    if (this.#meter.add(bytes)) return true
    this.doom(`the process holds more than ${this.limits.memoryBytes} bytes of memory`)
    return false
  }

  doom(message: string): Abort {
    this.#abort ??= new Abort('limit', message)
    return this.#abort
  }

  kill(reason: string): void {
    this.#abort ??= new Abort('killed', reason)
  }

  throwIfAborted(): void {
    if (this.#abort !== undefined) throw this.#abort
  }

  beginEvaluation(): void {
    this.#evaluationLeft = this.limits.sliceInstructions
  }

  /** What ended the evaluation early. One that ran too long is given up; the process has done nothing wrong. */
  endEvaluation(): Abort | undefined {
    const abort = this.#abort
    if (abort?.cause === 'limit' && this.#evaluationLeft !== undefined && this.#evaluationLeft < 0)
      this.#abort = undefined
    this.#evaluationLeft = undefined
    return abort
  }

  #checkQuota(): void {
    const { totalInstructions } = this.limits
    if (this.#instructions > totalInstructions)
      throw this.doom(`the process used up its ${totalInstructions} instructions`)
  }
}

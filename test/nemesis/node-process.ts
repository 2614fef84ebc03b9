import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { openSync, closeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { AppError, fromWire } from '@daruma/protocol'
import type { Answer, Ask, NodeConfig } from './wire.ts'

const program = fileURLToPath(new URL('node.js', import.meta.url))

interface Waiter {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** A node's process: it may be dead, paused, or not up yet, and says so by not answering. */
export class NodeProcess {
  readonly name: string
  readonly #config: NodeConfig
  readonly #logFile: string
  #child: ChildProcess | undefined
  #isUp = false
  #isPaused = false
  #serial = 0
  readonly #waiting = new Map<number, Waiter>()
  // Whoever tortures and dies must not leave its victims behind.
  readonly #onExit = (): void => void this.#child?.kill('SIGKILL')

  constructor(config: NodeConfig, logFile: string) {
    this.name = config.name
    this.#config = config
    this.#logFile = logFile
    process.on('exit', this.#onExit)
  }

  get isUp(): boolean {
    return this.#isUp
  }

  get isAlive(): boolean {
    return this.#child !== undefined
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Resolves when it is up; false: it ended before (the server or its folder was not to be had). */
  async start(): Promise<boolean> {
    if (this.#child !== undefined) return true
    const log = openSync(this.#logFile, 'a')
    const child = fork(program, [JSON.stringify(this.#config)], { stdio: ['ignore', log, log, 'ipc'] })
    closeSync(log)
    this.#child = child
    return new Promise((resolve) => {
      child.on('message', (answer: Answer) => {
        if (answer.number === 0) {
          this.#isUp = true
          resolve(true)
        } else {
          this.#answered(answer)
        }
      })
      child.once('exit', () => {
        this.#gone(child)
        resolve(false)
      })
      child.on('error', () => undefined)
    })
  }

  #answered({ number, value, error }: Answer): void {
    const waiter = this.#waiting.get(number)
    this.#waiting.delete(number)
    if (error === undefined) waiter?.resolve(value)
    else waiter?.reject(fromWire(error))
  }

  #gone(child: ChildProcess): void {
    if (this.#child !== child) return
    this.#child = undefined
    this.#isUp = false
    this.#isPaused = false
    for (const [number, { reject }] of this.#waiting) {
      this.#waiting.delete(number)
      reject(new AppError('unavailable', `${this.name} died before it answered`))
    }
  }

  /** @throws AppError unavailable, timeout - no answer: it may have been done; else what the node answered */
  async ask(ask: Ask, timeoutMs: number): Promise<unknown> {
    const child = this.#child
    if (child === undefined || !this.#isUp) throw new AppError('unavailable', `${this.name} is not up`)
    const number = ++this.#serial
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(number)
        reject(new AppError('timeout', `${this.name} did not answer in ${timeoutMs} ms`))
      }, timeoutMs)
      const settle =
        <T>(act: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer)
          act(value)
        }
      this.#waiting.set(number, { resolve: settle(resolve), reject: settle(reject) })
      child.send({ ...ask, number }, (error) => {
        if (error === null) return
        const waiter = this.#waiting.get(number)
        this.#waiting.delete(number)
        waiter?.reject(new AppError('unavailable', `${this.name}: ${error.message}`))
      })
    })
  }

  /** `kill -9`, also of a paused one. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  pause(): void {
    this.#isPaused = true
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#isPaused = false
    this.#child?.kill('SIGCONT')
  }

  /** Hands everything over and ends; killed when that takes longer than `deadlineMs`. False: it had to be killed. */
  async close(deadlineMs: number): Promise<boolean> {
    const child = this.#child
    if (child === undefined) return true
    const exited = once(child, 'exit')
    const isGraceful = await this.ask({ op: 'close' }, deadlineMs).then(
      () => true,
      () => false,
    )
    if (isGraceful) await exited
    else await this.kill()
    return isGraceful
  }

  release(): void {
    process.off('exit', this.#onExit)
  }
}

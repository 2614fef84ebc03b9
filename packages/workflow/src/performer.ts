import {
  AppError,
  toWire,
  type CancelTimer,
  type Clock,
  type Codec,
  type Destination,
  type Pid,
  type WireError,
} from '@daruma/protocol'
import { runAttempt, type ActivityExecutor, type Attempt, type AttemptOutcome } from './activity.ts'
import type { EngineEnd, JournalEvent, Wake } from './events.ts'
import type { Effect, Head, Outgoing, PendingEffect } from './head.ts'
import { describeCommand } from './mismatch.ts'
import type { Observer } from './observer.ts'
import type { Outside } from './outside.ts'
import { tooLarge } from './payload.ts'
import type { StartRequest } from './requests.ts'
import { decideRetry } from './retry.ts'
import { TimerHeap, type Due } from './timers.ts'

export interface PerformerOptions {
  readonly codec: Codec
  /** What one answer may bring into a workflow. */
  readonly maxPayloadBytes: number
  readonly clock: Clock
  readonly machineClock: Clock
  readonly executor: ActivityExecutor
  readonly outside: Outside
  readonly selfPid: (workflowId: string) => Pid
  readonly observe: Observer
  readonly maxConcurrentActivities: number
  /** Gives an event to the program of a run. */
  readonly wake: (head: Head, wake: Wake) => void
  /** Records an event that the program does not see. */
  readonly record: (head: Head, event: JournalEvent, onStored?: () => void) => void
  readonly close: (head: Head, end: EngineEnd) => void
}

interface Timer extends Due {
  readonly head: Head
  readonly run: number
  /** A command, or the run itself. */
  readonly id: number | 'start' | 'deadline'
}

/** How long an effect that reached its target may stand unrecorded: a crash within it repeats the effect. */
const settleDelayMs = 100
const firstRetryMs = 500
const maxRetryMs = 30_000

/**
 * Performs what stands in the journal: runs calls, arms timers, sends, starts children, tells of ends.
 *
 * Every method is called after the commit that holds the request, and again for whatever has no recorded outcome when
 * the partition changes hands: all of it may happen twice, with the same ids.
 */
export class Performer {
  readonly #options: PerformerOptions
  readonly #timers = new TimerHeap<Timer>()
  #armed: { readonly atMs: number; readonly cancel: CancelTimer } | undefined
  #order = 0
  readonly #attempts = new Map<Head, Map<number, Attempt>>()
  readonly #queue: (() => void)[] = []
  #running = 0
  #stopped = false
  readonly #settled = new Map<Head, string[]>()
  #settleTimer: CancelTimer | undefined
  readonly #retries = new Set<CancelTimer>()
  /** By sender and receiver: what waits for the one before it to arrive. */
  readonly #lanes = new Map<string, (() => void)[]>()

  constructor(options: PerformerOptions) {
    this.#options = options
  }

  /** Performs an effect that is stored now. */
  perform(head: Head, effect: Effect): void {
    this.#perform(head, effect, false)
  }

  /** The same for an effect that an earlier owner may have performed. */
  performAgain(head: Head, effect: Effect): void {
    this.#perform(head, effect, true)
  }

  #perform(head: Head, effect: Effect, again: boolean): void {
    if (this.#stopped) return
    switch (effect.kind) {
      case 'pending':
        // What came of it, or the end of its run, may be known by now.
        if (head.pending.get(effect.id) === effect) this.#ask(head, effect, again)
        return
      case 'abandon':
        if (head.pending.get(effect.effect.id) === effect.effect) this.#abandon(head, effect.effect)
        return
      default:
        return this.#post(head, effect, again)
    }
  }

  #ask(head: Head, effect: PendingEffect, again: boolean): void {
    if (effect.abandoned && again) {
      if (effect.child !== undefined) this.#startChild(head, effect) // as #post does
      return this.#abandon(head, effect)
    }
    const { command, id } = effect
    switch (command.kind) {
      case 'sleep':
        return this.#arm(head, id, effect.fireAtMs!)
      case 'call':
      case 'request':
        return effect.notBeforeMs > this.#options.clock.wallMs()
          ? this.#arm(head, id, effect.notBeforeMs)
          : this.#attempt(head, effect, again)
      case 'spawn':
      case 'exec':
        return this.#startChild(head, effect)
      default:
        return
    }
  }

  // --- timers ------------------------------------------------------------------------------------------------------

  /** Deadlines and the delayed start of a run. */
  armRun(head: Head): void {
    const { notBeforeMs, runDeadlineMs, executionDeadlineMs } = head.started
    if (notBeforeMs !== undefined && head.turns === 0) this.#arm(head, 'start', notBeforeMs)
    const deadlineMs = Math.min(runDeadlineMs ?? Infinity, executionDeadlineMs ?? Infinity)
    if (deadlineMs !== Infinity) this.#arm(head, 'deadline', deadlineMs)
  }

  #arm(head: Head, id: Timer['id'], atMs: number): void {
    this.#timers.push({ atMs, order: this.#order++, head, run: head.run, id })
    this.#rearm()
  }

  #rearm(): void {
    const next = this.#timers.peek()
    if (next === undefined || this.#stopped) return
    if (this.#armed !== undefined) {
      if (this.#armed.atMs <= next.atMs) return
      this.#armed.cancel()
    }
    const delayMs = Math.max(next.atMs - this.#options.clock.wallMs(), 0)
    this.#armed = { atMs: next.atMs, cancel: this.#options.clock.after(delayMs, () => this.#fire()) }
  }

  /** G6: by the wall clock, never early; one that stepped back is waited for again. */
  #fire(): void {
    this.#armed = undefined
    if (this.#stopped) return
    const nowMs = this.#options.clock.wallMs()
    for (let due = this.#timers.peek(); due !== undefined && due.atMs <= nowMs; due = this.#timers.peek()) {
      this.#timers.pop()
      this.#fired(due)
    }
    this.#rearm()
  }

  #fired({ head, run, id }: Timer): void {
    if (!head.isOpen || head.run !== run) return
    if (id === 'start') return this.#options.wake(head, { kind: 'start' })
    if (id === 'deadline') {
      const error: WireError = {
        kind: 'timeout',
        message: `workflow ${head.workflow} did not end in time`,
        retryable: false,
      }
      return this.#options.close(head, { kind: 'timed_out', error })
    }
    const effect = head.pending.get(id)
    if (effect === undefined || effect.abandoned) return
    if (effect.command.kind === 'sleep') this.#options.wake(head, { kind: 'completed', id, value: null })
    else this.#attempt(head, effect, false)
  }

  // --- calls -------------------------------------------------------------------------------------------------------

  #attempt(head: Head, effect: PendingEffect, again: boolean): void {
    if (this.#running >= this.#options.maxConcurrentActivities) {
      this.#queue.push(() => this.#attempt(head, effect, again))
      return
    }
    if (head.pending.get(effect.id) !== effect || effect.abandoned || !head.isOpen) return this.#nextAttempt()
    this.#running++
    const key = keyOf(head, effect.id)
    const { command } = effect
    const target = command.kind === 'call' ? command.target : command.kind === 'request' ? command.handler : ''
    this.#options.observe({
      kind: 'attempt',
      workflow: head.workflow,
      target,
      idempotencyKey: key,
      attempt: effect.attempt,
      again,
    })
    const attempt = runAttempt(this.#options.executor, this.#options.machineClock, effect, {
      workflowId: head.workflow,
      run: head.run,
      context: head.started.context ?? {},
    })
    let attempts = this.#attempts.get(head)
    if (attempts === undefined) this.#attempts.set(head, (attempts = new Map()))
    attempts.set(effect.id, attempt)
    void attempt.outcome.then((outcome) => {
      this.#running--
      attempts.delete(effect.id)
      if (attempts.size === 0 && this.#attempts.get(head) === attempts) this.#attempts.delete(head)
      if (this.#stopped) return
      this.#options.observe({
        kind: 'attempt_ended',
        workflow: head.workflow,
        target,
        idempotencyKey: key,
        ...(outcome.kind === 'failed' ? { error: outcome.error } : {}),
      })
      if (head.pending.get(effect.id) === effect) this.#attempted(head, effect, outcome)
      this.#nextAttempt()
    })
  }

  #nextAttempt(): void {
    if (this.#running < this.#options.maxConcurrentActivities) this.#queue.shift()?.()
  }

  #attempted(head: Head, effect: PendingEffect, answered: AttemptOutcome): void {
    const { id, command } = effect
    const outcome = this.#fitting(effect, answered)
    if (outcome.kind === 'completed')
      return this.#options.wake(head, { kind: 'completed', id, value: outcome.value ?? null })
    const nowMs = this.#options.clock.wallMs()
    const options = command.kind === 'call' ? command.options : undefined
    const decision = effect.abandoned
      ? ({ kind: 'give_up', error: outcome.error } as const)
      : decideRetry(options, effect.attempt, outcome.error, nowMs - effect.askedAtMs)
    if (decision.kind === 'give_up') return this.#options.wake(head, { kind: 'failed', id, error: decision.error })
    const nextAtMs = nowMs + decision.delayMs
    const failed: JournalEvent = {
      kind: 'attempt_failed',
      atMs: nowMs,
      id,
      attempt: effect.attempt,
      error: outcome.error,
      nextAtMs,
      ...(outcome.heartbeat === undefined ? {} : { heartbeat: outcome.heartbeat }),
    }
    // The next attempt is an effect like any other: an owner that was fenced meanwhile must not go on trying.
    this.#options.record(head, failed, () => {
      if (head.pending.get(id) === effect) this.#arm(head, id, nextAtMs)
    })
  }

  /** What the journal cannot take is the failure of its call, not of the workflow. */
  #fitting({ command }: PendingEffect, outcome: AttemptOutcome): AttemptOutcome {
    const { codec, maxPayloadBytes } = this.#options
    const name = describeCommand(command)
    if (outcome.kind === 'completed') {
      const error = tooLarge(codec, outcome.value, `${name}: its result`, maxPayloadBytes)
      return error === undefined ? outcome : { kind: 'failed', error, heartbeat: undefined }
    }
    const { error, heartbeat } = outcome
    const found = tooLarge(codec, { error, heartbeat }, `${name}: its error`, maxPayloadBytes)
    if (found === undefined) return outcome
    const message = `${error.message.slice(0, 1_000)} (${found.message})`
    return { kind: 'failed', error: { ...found, kind: error.kind, message }, heartbeat: undefined }
  }

  /** The program gave up a pending command: it is told so at once, unless it asked to wait for the real end. */
  #abandon(head: Head, effect: PendingEffect): void {
    const { command, id, child } = effect
    const attempt = this.#attempts.get(head)?.get(id)
    const mode =
      (command.kind === 'call' || command.kind === 'exec' ? command.options?.cancellation : undefined) ?? 'try'
    if (mode === 'wait' && attempt !== undefined) return attempt.interrupt('canceled by the workflow')
    const tell = (): void =>
      this.#options.wake(head, {
        kind: 'failed',
        id,
        error: { kind: 'canceled', message: 'canceled', retryable: false },
      })
    if (child !== undefined && mode !== 'abandon') {
      const self = this.#options.selfPid(head.workflow)
      // The abandonment is settled when the child has it: a crash before that tells the child again.
      return this.#deliverTo(
        head,
        child,
        () => this.#options.outside.exit(child, 'cancel', self, 'canceled by the parent'),
        mode === 'wait' ? noop : tell,
      )
    }
    tell()
    if (mode === 'try') attempt?.cancel('canceled by the workflow')
  }

  // --- children and ends -------------------------------------------------------------------------------------------

  #startChild(head: Head, effect: PendingEffect): void {
    const { command, id } = effect
    if (command.kind !== 'spawn' && command.kind !== 'exec') return
    const child = effect.child!
    const request = childRequest(head, effect, this.#options.selfPid(head.workflow))
    this.#deliverTo(
      head,
      child,
      async () => {
        const answer = await this.#options.outside.startChild(child, request)
        if (answer.kind === 'refused') throw new AppError(answer.error.kind, answer.error.message)
      },
      (error) => {
        if (error === undefined) return // its end will come by itself
        this.#options.wake(
          head,
          command.kind === 'spawn'
            ? { kind: 'exit', id, from: child, result: { error } }
            : { kind: 'failed', id, error },
        )
      },
    )
  }

  /** A run is over or goes on as another: its attempts are no longer of interest. */
  leaveRun(head: Head): void {
    const attempts = this.#attempts.get(head)
    if (attempts === undefined) return
    this.#attempts.delete(head)
    for (const attempt of attempts.values()) attempt.cancel('the workflow ended')
  }

  #post(head: Head, outgoing: Outgoing, again: boolean): void {
    const self = this.#options.selfPid(head.workflow)
    const { outside } = this.#options
    const settle = (): void => this.#settle(head, outgoing.key)
    switch (outgoing.kind) {
      case 'send': {
        const { to, topic, payload, key } = outgoing
        const message = { kind: 'message', from: self, topic, payload, messageId: `${head.workflow}/${key}` } as const
        return this.#deliverTo(head, to, () => outside.send(to, message), settle)
      }
      case 'exit': {
        const { to, mode, reason, asked } = outgoing
        // An owner before may still be about to start the child, and a child that does not exist cannot be told to end.
        // Started here first, the late start meets it.
        if (again && asked !== undefined && head.run === outgoing.run) this.#startChild(head, asked)
        return this.#deliverTo(head, to, () => outside.exit(to, mode, self, reason), settle)
      }
      case 'notice':
        return this.#deliver(() => outside.childEnded(outgoing.watcher, self, outgoing.result), settle)
    }
  }

  /**
   * In the order in which the program asked: one that has to be tried again must not be overtaken (G5), and an exit
   * must not reach a child before its start does.
   */
  #deliverTo(
    head: Head,
    to: Destination,
    act: () => Promise<void>,
    onDone: (error: WireError | undefined) => void,
  ): void {
    const lane = `${head.workflow} ${String(to)}`
    const begin = (): void =>
      this.#deliver(act, (error) => {
        onDone(error)
        const next = this.#lanes.get(lane)?.shift()
        if (next === undefined) this.#lanes.delete(lane)
        else next()
      })
    const waiting = this.#lanes.get(lane)
    if (waiting !== undefined) return void waiting.push(begin)
    this.#lanes.set(lane, [])
    begin()
  }

  // --- at least once -----------------------------------------------------------------------------------------------

  /** Tries until the target answers, yes or no. */
  #deliver(act: () => Promise<void>, onDone: (error: WireError | undefined) => void, round = 0): void {
    void act().then(
      () => {
        if (!this.#stopped) onDone(undefined)
      },
      (thrown: unknown) => {
        if (this.#stopped) return
        const error = toWire(thrown)
        if (error.kind !== 'unavailable' && error.kind !== 'timeout') return onDone(error)
        const cancel = this.#options.machineClock.after(Math.min(firstRetryMs * 2 ** round, maxRetryMs), () => {
          this.#retries.delete(cancel)
          this.#deliver(act, onDone, round + 1)
        })
        this.#retries.add(cancel)
      },
    )
  }

  #settle(head: Head, key: string): void {
    const keys = this.#settled.get(head)
    if (keys === undefined) this.#settled.set(head, [key])
    else keys.push(key)
    this.#settleTimer ??= this.#options.machineClock.after(settleDelayMs, () => this.flushSettled())
  }

  /** Records what reached its target. Waits for company, since nothing hangs on it but a repeat after a crash. */
  flushSettled(): void {
    this.#settleTimer?.()
    this.#settleTimer = undefined
    for (const [head, keys] of this.#settled) this.#options.record(head, { kind: 'settled', keys })
    this.#settled.clear()
  }

  stop(): void {
    this.#stopped = true
    this.#armed?.cancel()
    this.#settleTimer?.()
    for (const cancel of this.#retries) cancel()
    for (const attempts of this.#attempts.values()) {
      for (const attempt of attempts.values()) attempt.cancel('this node gave the partition up')
    }
    this.#attempts.clear()
    this.#queue.length = 0
    this.#lanes.clear()
  }
}

function childRequest(head: Head, { command, child, id }: PendingEffect, parent: Pid): StartRequest {
  if (command.kind !== 'spawn' && command.kind !== 'exec') throw new TypeError('not a child')
  const { options } = command
  const given = options?.workflowId ?? options?.name
  // After a reset, the child of the earlier run may still run: it is joined.
  const isAdopted = head.started.resetOf !== undefined
  return {
    kind: 'start',
    workflowId: String(child!.id),
    type: command.target,
    args: command.args,
    conflict: options?.idConflict ?? (given === undefined && !isAdopted ? 'fail' : 'use_existing'),
    reuse: options?.idReuse ?? 'allow_duplicate',
    requestId: keyOf(head, id),
    parent: { pid: parent, run: head.run, id, closePolicy: options?.parentClose ?? 'terminate' },
    context: { ...head.started.context, ...options?.context },
    ...(options?.memo === undefined ? {} : { memo: options.memo }),
    ...(options?.searchAttributes === undefined ? {} : { searchAttributes: options.searchAttributes }),
    ...(options?.startDelayMs === undefined ? {} : { startDelayMs: options.startDelayMs }),
    ...(options?.retry === undefined ? {} : { retry: options.retry }),
    ...(options?.cronSchedule === undefined ? {} : { cron: options.cronSchedule }),
    ...(options?.timeZone === undefined ? {} : { timeZone: options.timeZone }),
    ...(options?.runTimeoutMs === undefined ? {} : { runTimeoutMs: options.runTimeoutMs }),
    ...(options?.executionTimeoutMs === undefined ? {} : { executionTimeoutMs: options.executionTimeoutMs }),
    ...(options?.messages === undefined
      ? {}
      : {
          messages: options.messages.map(({ topic, payload }, at) => ({
            kind: 'message' as const,
            from: parent,
            topic,
            payload,
            messageId: `${keyOf(head, id)}/${at}`,
          })),
        }),
  }
}

function keyOf(head: Head, id: number): string {
  return `${head.workflow}/${head.run}/${id}`
}

function noop(): void {}

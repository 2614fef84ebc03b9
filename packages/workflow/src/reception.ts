import {
  AppError,
  toWire,
  uuidFrom,
  type Clock,
  type Codec,
  type Outcome,
  type Pid,
  type ProgramFactory,
  type Rng,
  type WireError,
} from '@daruma/protocol'
import { refused, refusedClosed, taken, type Answer } from './answers.ts'
import type { CommitChain } from './chain.ts'
import type { MessageWake, Wake } from './events.ts'
import type { Head } from './head.ts'
import { decideStart } from './identity.ts'
import { tooLarge } from './payload.ts'
import type { Recorder } from './recorder.ts'
import type { PartitionRequest, StartRequest, UpdateRequest } from './requests.ts'
import { seenIds, startOf, type RunReader } from './run-reader.ts'
import type { Slot } from './slot.ts'
import { firstTickMs, startedBy } from './started.ts'
import { answerUpdate } from './updates.ts'
import type { Waker } from './waker.ts'

export interface ReceptionOptions {
  readonly slots: ReadonlyMap<string, Slot>
  /** It ended too long ago to be known of. */
  readonly isExpired: (slot: Slot) => boolean
  /** Above every run of every workflow that was forgotten. */
  readonly runFloor: () => number
  readonly maxPayloadBytes: number
  readonly taskQueue: string
  readonly programs: (type: string) => ProgramFactory | undefined
  readonly chain: CommitChain
  readonly recorder: Recorder
  readonly runs: RunReader
  readonly waker: Waker
  readonly codec: Codec
  readonly clock: Clock
  readonly rng: Rng
}

/** Says what a request means for the workflow that it names, and answers when that is stored (P1 of the partition). */
export class Reception {
  readonly #options: ReceptionOptions

  constructor(options: ReceptionOptions) {
    this.#options = options
  }

  /** @throws AppError invalid - the request is too large */
  take(asked: PartitionRequest, answer: Answer): void {
    const request = this.#fitting(asked)
    const { slots, isExpired, chain, recorder, waker } = this.#options
    const slot = slots.get(request.workflowId)
    if (request.kind === 'start') return this.#start(slot, request, answer)
    if (slot === undefined || isExpired(slot)) return answer(refused('not_found', `no workflow ${request.workflowId}`))
    const { head } = slot
    switch (request.kind) {
      case 'message':
        if (!head.isOpen && request.message.messageId !== undefined)
          return this.#lateMessage(slot, request.message, answer)
        return waker.wake(slot, request.message, answer)
      case 'cancel':
        if (request.run !== undefined && request.run !== head.run) return answer(taken)
        if (head.cancelAsked) return void chain.barrier().then(() => answer(taken))
        if (head.isOpen && head.turns === 0 && !slot.hasBegun) {
          // No code has run that could clean up.
          const error: WireError = { kind: 'canceled', message: request.reason ?? 'canceled', retryable: false }
          return recorder.close(slot, { kind: 'canceled', error }, () => answer(taken))
        }
        return waker.wake(slot, { kind: 'cancel', from: request.from, reason: request.reason }, answer)
      case 'terminate': {
        if (!head.isOpen) return answer(refusedClosed(head))
        if (request.run !== undefined && request.run !== head.run) return answer(taken)
        const reason = request.reason ?? 'terminated'
        const error: WireError = { kind: 'canceled', message: reason, retryable: false }
        return recorder.close(slot, { kind: 'terminated', error }, () => answer(taken))
      }
      case 'update':
        return this.#update(slot, request, answer)
      case 'child_end':
        if (!head.isOpen || head.run !== request.run || !head.pending.has(request.id)) return answer(taken)
        return waker.wake(slot, childWake(head, request.id, request.from, request.result), answer)
    }
  }

  /** The request, if the journal can take it. The end of a child has to be told in any case. */
  #fitting(request: PartitionRequest): PartitionRequest {
    const what = `${request.kind} of workflow ${request.workflowId}`
    const error = tooLarge(this.#options.codec, request, what, this.#options.maxPayloadBytes)
    if (error === undefined) return request
    if (request.kind === 'child_end') return { ...request, result: { error } }
    throw new AppError('invalid', error.message, undefined, { retryable: false })
  }

  #start(slot: Slot | undefined, request: StartRequest, answer: Answer): void {
    const { isExpired, runFloor, programs, taskQueue, clock, rng, recorder, waker } = this.#options
    const isKnown = slot !== undefined && !isExpired(slot)
    const known = isKnown
      ? { run: slot.head.run, status: slot.head.status, requestId: slot.head.started.requestId }
      : undefined
    const decision = decideStart(known, request, Math.max(runFloor(), (slot?.head.run ?? 0) + 1))
    if (decision.kind === 'refuse') {
      return answer(refused('already_exists', `workflow ${request.workflowId} ${decision.reason}`))
    }
    if (decision.kind === 'use_existing') return this.#join(slot!, request, decision.isRepeat, answer)
    if (programs(request.type) === undefined) {
      return answer(refused('not_found', `no workflow type ${request.type} on task queue ${taskQueue}`, true))
    }
    let notBeforeMs: number | undefined
    try {
      notBeforeMs = firstTickMs(request, clock.wallMs())
    } catch (error) {
      return answer({ kind: 'refused', error: toWire(error) })
    }
    if (decision.kind === 'replace') {
      const error: WireError = { kind: 'canceled', message: 'replaced by a new start', retryable: false }
      recorder.close(slot!, { kind: 'terminated', error })
    }
    const { run } = decision
    const started = startedBy(request, { run, atMs: clock.wallMs(), seed: uuidFrom(rng), notBeforeMs })
    waker.begin(slot, started, request.workflowId, () => answer({ kind: 'started', run, created: true }))
  }

  /** A start that met the running one: its messages are delivered, its parent waits with the others. */
  #join(slot: Slot, request: StartRequest, isRepeat: boolean, answer: Answer): void {
    const { chain, recorder, waker } = this.#options
    const { run } = slot.head
    if (!isRepeat) {
      for (const message of request.messages ?? []) waker.wake(slot, message, undefined)
      if (request.parent !== undefined) recorder.record(slot, { kind: 'watched', watcher: request.parent })
    }
    void chain.barrier().then(() => answer({ kind: 'started', run, created: false }))
  }

  /** A repeat meets the update that it repeats, also one that has completed (trap 26). */
  #update(slot: Slot, request: UpdateRequest, answer: Answer): void {
    const { chain, waker } = this.#options
    const { updateId, name, args } = request
    const onAnswer: Answer = (given) =>
      given.kind === 'refused' ? answer(given) : answerUpdate(slot, request, answer, chain)
    if (slot.head.updates.has(updateId)) void chain.barrier().then(() => onAnswer(taken))
    else waker.wake(slot, { kind: 'update', updateId, name, args }, onAnswer)
  }

  /** To a workflow that has ended: one that it took while it ran was taken, whoever asks again (G5). */
  #lateMessage({ head }: Slot, message: MessageWake, answer: Answer): void {
    void this.#options.runs.stored(head).then(
      (journal) =>
        answer(seenIds(startOf(head, journal), journal).has(message.messageId!) ? taken : refusedClosed(head)),
      () => answer(refusedClosed(head)),
    )
  }
}

function childWake(head: Head, id: number, from: Pid, result: Outcome): Wake {
  if (head.pending.get(id)?.command.kind === 'spawn') return { kind: 'exit', id, from, result }
  return result.error === undefined
    ? { kind: 'completed', id, value: result.value ?? null }
    : { kind: 'failed', id, error: result.error }
}

import { uuidFrom, type Clock, type Codec, type Rng, type Step, type WireError } from '@daruma/protocol'
import { refusedClosed, taken, type Answer } from './answers.ts'
import type { CommitChain } from './chain.ts'
import { isFollowed, type MessageWake, type Turn } from './events.ts'
import type { Lifetime } from './lifetime.ts'
import { tooLarge } from './payload.ts'
import type { Performer } from './performer.ts'
import type { Recorder } from './recorder.ts'
import type { Residents } from './residents.ts'
import type { RunQueue } from './run-queue.ts'
import { isRepeat, nowOf, type Slot, type Waking } from './slot.ts'
import { startedAfter } from './started.ts'
import { decideSuccessor, type Successor } from './successor.ts'
import { tellUpdates } from './updates.ts'
import type { Waker } from './waker.ts'

export interface TurnsOptions {
  readonly life: Lifetime
  readonly chain: CommitChain
  readonly performer: Performer
  readonly recorder: Recorder
  readonly residents: Residents
  readonly queue: RunQueue
  readonly waker: Waker
  readonly codec: Codec
  readonly clock: Clock
  readonly rng: Rng
}

/** Runs the turns of a partition's workflows and records them; where a run hands over to another, begins that. */
export class Turns {
  readonly #options: TurnsOptions
  #busy = 0

  constructor(options: TurnsOptions) {
    this.#options = options
  }

  /** Programs are running at this moment. */
  get isBusy(): boolean {
    return this.#busy > 0
  }

  /** The next turn of a workflow that is ready (P2 of the partition). */
  run(slot: Slot): void {
    if (slot.state !== 'ready') return
    const waking = this.#nextWake(slot)
    if (waking === undefined) {
      slot.state = 'idle'
      return this.#options.residents.evict()
    }
    slot.state = 'running'
    let step: Step | Promise<Step>
    try {
      step = slot.resident!.begin(waking.wake, this.#options.clock.wallMs())
    } catch (error) {
      step = { kind: 'failed', error: { kind: 'internal', message: `program broke: ${(error as Error).message}` } }
    }
    this.#stepped(slot, waking, step)
  }

  #stepped(slot: Slot, waking: Waking, step: Step | Promise<Step>): void {
    if (step instanceof Promise) {
      this.#busy++
      void step.then((answered) => {
        this.#busy--
        if (!this.#options.life.isOver) this.#finish(slot, waking, answered)
      })
      return
    }
    this.#finish(slot, waking, step)
  }

  /** The next wake that is news to the workflow. A completion that was recorded before, or a message that it has, is not. */
  #nextWake(slot: Slot): Waking | undefined {
    for (let waking = slot.wakes.shift(); waking !== undefined; waking = slot.wakes.shift()) {
      const { wake, onAnswer } = waking
      let answer = taken
      if (!isRepeat(slot, wake)) {
        const error = wake.kind === 'update' ? slot.resident!.refusalOf(wake.name, wake.args) : undefined
        if (error === undefined) return waking
        answer = { kind: 'refused', error } // nothing of it is recorded
      }
      if (onAnswer !== undefined) void this.#options.chain.barrier().then(() => onAnswer(answer))
    }
    return undefined
  }

  #finish(slot: Slot, waking: Waking, step: Step): void {
    const { life, recorder, queue, waker } = this.#options
    const { resident } = slot
    if (resident === undefined || slot.state !== 'running') return waking.onAnswer?.(refusedClosed(slot.head))
    if (step.kind === 'preempted') {
      // Others first; the turn stays open.
      life.later(0, () => {
        if (slot.resident === resident) this.#stepped(slot, waking, resident.proceed())
      })
      return
    }
    const finished = resident.finish(step)
    if (finished === undefined) {
      slot.wakes.unshift(waking)
      return waker.stickMismatch(slot, resident.mismatch!)
    }
    if (waking.wake.kind === 'message' && waking.wake.messageId !== undefined) slot.seen?.add(waking.wake.messageId)
    const successor = successorOf(slot, finished)
    const turn = successor === undefined ? finished : asFollowed(finished)
    const bytes = this.#record(slot, turn, waking.onAnswer)
    if (bytes === undefined) return
    resident.sized(bytes)
    if (turn.end === undefined && recorder.failTooLong(slot)) return
    if (turn.end === undefined) queue.push(slot)
    else if (turn.end.kind === 'continued') this.#goOn(slot, step as Extract<Step, { kind: 'become' }>)
    else if (successor !== undefined) {
      this.#goOn(slot, { kind: 'become', target: undefined, args: slot.head.started.args }, successor)
    } else recorder.ended(slot)
    queue.schedule()
  }

  /** The bytes of the recorded turn; undefined when it is larger than the log takes, which ends the workflow. */
  #record(slot: Slot, turn: Turn, onAnswer: Answer | undefined): number | undefined {
    const { chain, recorder } = this.#options
    const bytes = chain.encode(turn)
    if (bytes.length > chain.maxEntryBytes) {
      const error: WireError = {
        kind: 'invalid',
        message: `one turn of ${bytes.length} bytes cannot be recorded: the log takes ${chain.maxEntryBytes}; pass large data by reference`,
        retryable: false,
      }
      recorder.close(slot, { kind: 'failed', error }, () => onAnswer?.(taken))
      return undefined
    }
    recorder.store(slot, turn, bytes, () => {
      onAnswer?.(taken)
      tellUpdates(slot, turn)
      if (turn.end !== undefined && turn.end.kind !== 'continued' && !isFollowed(turn.end))
        recorder.tellWaiters(slot, turn.end)
    })
    return bytes.length
  }

  /** continue-as-new, cron and retries of the workflow: the next run stands right behind the end of this one, and inherits what nobody read. */
  #goOn(slot: Slot, step: Extract<Step, { kind: 'become' }>, successor?: Successor): void {
    const { head } = slot
    const { chain, codec, clock, performer, recorder, residents, rng, waker } = this.#options
    const unread = slot.resident!.unread() as readonly MessageWake[]
    const queued = head.queued.filter((wake): wake is MessageWake => wake?.kind === 'message')
    const waiting = slot.wakes.splice(0)
    const arrived = waiting.flatMap(({ wake }) => (wake.kind === 'message' && !isRepeat(slot, wake) ? [wake] : []))
    const { seen } = slot
    performer.leaveRun(head)
    residents.unload(slot)
    const next = startedAfter(head.started, head.run + 1, {
      atMs: nowOf(slot, clock),
      seed: uuidFrom(rng),
      type: step.target,
      args: step.args,
      messages: [...unread, ...queued, ...arrived],
      seen,
      successor,
    })
    const error = tooLarge(codec, next, 'what the next run begins with', chain.maxEntryBytes)
    if (error !== undefined) {
      for (const { onAnswer } of waiting) onAnswer?.(refusedClosed(head))
      return recorder.close(slot, { kind: 'failed', error })
    }
    waker.begin(slot, next, head.workflow, () => {
      for (const { wake, onAnswer } of waiting)
        if (wake.kind !== 'update') onAnswer?.(wake.kind === 'message' ? taken : refusedClosed(head))
    })
    for (const waking of waiting) {
      if (waking.wake.kind === 'cancel') slot.wakes.push({ wake: waking.wake, onAnswer: undefined })
      if (waking.wake.kind === 'update') slot.wakes.push(waking)
    }
    if (!slot.hasBegun) waker.queueWakes(slot)
  }
}

/** The run after one that a cancellation reached is none, whatever its code made of it. */
function successorOf({ head }: Slot, { end, wake, atMs }: Turn): Successor | undefined {
  return end === undefined || head.cancelAsked || wake.kind === 'cancel'
    ? undefined
    : decideSuccessor(head.started, end, atMs)
}

function asFollowed(turn: Turn): Turn {
  const { end } = turn
  return end?.kind === 'completed' || end?.kind === 'failed' ? { ...turn, end: { ...end, next: true } } : turn
}

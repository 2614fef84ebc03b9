import type { Destination, Outcome, SpawnOptions, WireError } from '@daruma/protocol'
import {
  outcomeOf,
  type AttemptFailed,
  type End,
  type JournalEvent,
  type ParentLink,
  type RecordedCommand,
  type Started,
  type Turn,
  type Wake,
} from './events.ts'
import { describeCommand, type JournalMismatch } from './mismatch.ts'

export type Status = 'running' | 'completed' | 'failed' | 'canceled' | 'terminated' | 'timed_out'

/** An effect whose answer the program waits for, and which is not recorded: after a crash it is performed again. */
export interface PendingEffect extends RecordedCommand {
  readonly kind: 'pending'
  readonly askedAtMs: number
  /** The attempt that comes next or is under way, from 1. */
  attempt: number
  /** Not before this instant, where attempts failed before. */
  notBeforeMs: number
  heartbeat: unknown
  /** The program gave it up. */
  abandoned: boolean
}

/**
 * An effect that answers nothing to the program: performed until its target has it, also beyond the end of its run.
 * `key` names it within the workflow, over all runs.
 */
export type Outgoing = { readonly key: string; readonly run: number } & (
  | {
      readonly kind: 'send'
      readonly to: Destination
      readonly topic: string
      readonly payload: readonly unknown[]
    }
  | {
      readonly kind: 'exit'
      readonly to: Destination
      readonly mode: 'terminate' | 'cancel'
      readonly reason: string | undefined
    }
  /** The news of the end, for one who waits for it. */
  | { readonly kind: 'notice'; readonly watcher: ParentLink; readonly result: Outcome }
)

/** What an event asks to be performed once it is stored, in the program's order. */
export type Effect = PendingEffect | Outgoing | { readonly kind: 'abandon'; readonly effect: PendingEffect }

const noEffects: readonly Effect[] = []

/**
 * What the owner of a partition keeps of a workflow that is not running: a fold over its events that never needs the
 * program. Recovery is this fold over the log.
 */
export class Head {
  readonly workflow: string
  started: Started
  /** Sequences of the commits that hold events of the current run, ascending. */
  seqs: number[] = []
  status: Status = 'running'
  end: Exclude<End, { kind: 'continued' }> | undefined
  lastAtMs: number
  events = 1
  bytes = 0
  cancelAsked = false
  /** Turns so far: 0 means that the program never ran. */
  turns = 0
  /** Who waits for the end: the parent first, if there is one. */
  watchers: ParentLink[]
  search: Record<string, unknown>
  memo: Record<string, unknown>
  readonly pending = new Map<number, PendingEffect>()
  readonly outbox = new Map<string, Outgoing>()
  /** By queue number; delivered ones are undefined. */
  queued: (Wake | undefined)[]
  /** Set while the code does not match the journal, or is not there. Not recorded: it is about this node's code. */
  stuck: { readonly reason: string; readonly mismatch?: JournalMismatch } | undefined

  constructor(workflow: string, started: Started) {
    this.workflow = workflow
    this.started = started
    this.lastAtMs = started.atMs
    this.search = { ...started.searchAttributes }
    this.memo = { ...started.memo }
    this.queued = [...(started.messages ?? [])]
    this.watchers = started.parent === undefined ? [] : [started.parent]
  }

  get isOpen(): boolean {
    return this.end === undefined
  }

  get run(): number {
    return this.started.run
  }

  /** Takes one event, and answers what it asks for. */
  apply(event: JournalEvent): readonly Effect[] {
    if (event.kind === 'started') return this.#restart(event)
    this.events++
    switch (event.kind) {
      case 'turn':
        return this.#turn(event)
      case 'queued':
        this.lastAtMs = event.atMs
        this.queued.push(event.wake)
        this.#answered(event.wake)
        return noEffects
      case 'attempt_failed':
        this.#attempt(event)
        return noEffects
      case 'settled':
        for (const key of event.keys) this.outbox.delete(key)
        return noEffects
      case 'watched':
        this.watchers.push(event.watcher)
        return noEffects
      case 'closed':
        this.lastAtMs = event.atMs
        return this.#close(event.end)
    }
  }

  #restart(started: Started): readonly Effect[] {
    // A run that goes on as another keeps its watchers; one that was started anew has those of its start.
    if (started.continued !== true) this.watchers = started.parent === undefined ? [] : [started.parent]
    this.started = started
    this.seqs = []
    this.status = 'running'
    this.end = undefined
    this.lastAtMs = started.atMs
    this.events = 1
    this.bytes = 0
    this.turns = 0
    this.cancelAsked = false
    this.pending.clear()
    this.queued = [...(started.messages ?? [])]
    this.search = { ...this.search, ...started.searchAttributes }
    this.memo = { ...this.memo, ...started.memo }
    this.stuck = undefined
    return noEffects
  }

  #turn(turn: Turn): readonly Effect[] {
    this.turns++
    this.lastAtMs = turn.atMs
    if (turn.wake.kind === 'queued') this.queued[turn.wake.index] = undefined
    else this.#answered(turn.wake)
    const effects: Effect[] = []
    for (const recorded of turn.commands) this.#asked(recorded, turn.atMs, effects)
    if (turn.end !== undefined && turn.end.kind !== 'continued') effects.push(...this.#close(turn.end))
    return effects
  }

  #answered(wake: Wake): void {
    if (wake.kind === 'completed' || wake.kind === 'failed' || wake.kind === 'exit') this.pending.delete(wake.id)
    if (wake.kind === 'cancel') this.cancelAsked = true
  }

  #asked(recorded: RecordedCommand, atMs: number, effects: Effect[]): void {
    const { command, id } = recorded
    switch (command.kind) {
      case 'abandon': {
        const effect = this.pending.get(command.id)
        if (effect === undefined) return
        effect.abandoned = true
        effects.push({ kind: 'abandon', effect })
        return
      }
      case 'attributes':
        Object.assign(this.search, command.search)
        Object.assign(this.memo, command.memo)
        return
      case 'send':
        effects.push(
          this.#post({
            ...this.#keyed(id),
            kind: 'send',
            to: command.to,
            topic: command.topic,
            payload: command.payload,
          }),
        )
        return
      case 'exit':
        effects.push(
          this.#post({ ...this.#keyed(id), kind: 'exit', to: command.to, mode: command.mode, reason: command.reason }),
        )
        return
      case 'call':
      case 'request':
      case 'sleep':
      case 'spawn':
      case 'exec': {
        const effect: PendingEffect = {
          ...recorded,
          kind: 'pending',
          askedAtMs: atMs,
          attempt: 1,
          notBeforeMs: 0,
          heartbeat: undefined,
          abandoned: false,
        }
        this.pending.set(id, effect)
        effects.push(effect)
        return
      }
      default:
        return
    }
  }

  #keyed(what: number | string): { key: string; run: number } {
    return { key: `${this.run}/${what}`, run: this.run }
  }

  #post(outgoing: Outgoing): Outgoing {
    this.outbox.set(outgoing.key, outgoing)
    return outgoing
  }

  #attempt(event: AttemptFailed): void {
    const effect = this.pending.get(event.id)
    if (effect === undefined) return
    effect.attempt = event.attempt + 1
    effect.notBeforeMs = event.nextAtMs
    if (event.heartbeat !== undefined) effect.heartbeat = event.heartbeat
  }

  /** What would only come back to the program is void; children get their close policy, watchers the news. */
  #close(end: Exclude<End, { kind: 'continued' }>): readonly Effect[] {
    this.status = end.kind
    this.end = end
    const effects: Effect[] = []
    for (const { id, child, command } of this.pending.values()) {
      if (child === undefined) continue
      const policy = ('options' in command && (command.options as SpawnOptions | undefined)?.parentClose) || 'terminate'
      if (policy === 'abandon') continue
      effects.push(
        this.#post({
          ...this.#keyed(`child/${id}`),
          kind: 'exit',
          to: child,
          mode: policy,
          reason: 'its parent ended',
        }),
      )
    }
    this.watchers.forEach((watcher, number) => {
      effects.push(this.#post({ ...this.#keyed(`notice/${number}`), kind: 'notice', watcher, result: outcomeOf(end) }))
    })
    this.pending.clear()
    this.queued = []
    this.stuck = undefined
    return effects
  }
}

/** A workflow as a person or a program sees it from outside. */
export interface Description {
  readonly workflowId: string
  readonly run: number
  readonly type: string
  readonly status: Status | 'stuck'
  readonly startedAtMs: number
  readonly lastEventAtMs: number
  readonly historyLength: number
  readonly result?: unknown
  readonly error?: WireError
  readonly stuck?: string
  readonly parent?: string
  readonly memo: Readonly<Record<string, unknown>>
  readonly searchAttributes: Readonly<Record<string, unknown>>
  /** What it waits for, in words. */
  readonly waitingFor: readonly string[]
}

export function describeHead(head: Head): Description {
  const { started, end } = head
  return {
    workflowId: head.workflow,
    run: head.run,
    type: started.type,
    status: head.stuck === undefined ? head.status : 'stuck',
    startedAtMs: started.atMs,
    lastEventAtMs: head.lastAtMs,
    historyLength: head.events,
    ...(end?.kind === 'completed' ? { result: end.value } : {}),
    ...(end !== undefined && end.kind !== 'completed' ? { error: end.error } : {}),
    ...(head.stuck === undefined ? {} : { stuck: head.stuck.reason }),
    ...(started.parent === undefined ? {} : { parent: String(started.parent.pid.id) }),
    memo: head.memo,
    searchAttributes: head.search,
    waitingFor: head.isOpen ? [...head.pending.values()].map((effect) => describeCommand(effect.command)) : [],
  }
}

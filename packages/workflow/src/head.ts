import type { Destination, Outcome, SpawnOptions, WireError } from '@daruma/protocol'
import {
  isFollowed,
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
import { Few, none } from './few.ts'
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
      /** To a child that may never have been started: what asked for it. */
      readonly asked?: PendingEffect
    }
  /** The news of the end, for one who waits for it. */
  | { readonly kind: 'notice'; readonly watcher: ParentLink; readonly result: Outcome }
)

/** What an event asks to be performed once it is stored, in the program's order. */
export type Effect = PendingEffect | Outgoing | { readonly kind: 'abandon'; readonly effect: PendingEffect }

/** Why a workflow does not go on although it is open. */
export interface Stuck {
  readonly reason: string
  readonly mismatch?: JournalMismatch
  /** An entry of its journal cannot be read, so that this head is not to be trusted: nothing is performed for it. */
  readonly isPoisoned?: true
}

const noEffects: readonly Effect[] = none
const noSeqs = Object.freeze([]) as unknown as number[]
const noFields: Readonly<Record<string, unknown>> = Object.freeze({})

function merged(
  fields: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, unknown>> | undefined,
): Readonly<Record<string, unknown>> {
  return more === undefined ? fields : { ...fields, ...more }
}

/**
 * What the owner of a partition keeps of a workflow that is not running: a fold over its events that never needs the
 * program. Recovery is this fold over the log.
 */
export class Head {
  readonly workflow: string
  started: Started
  /** Sequences of the commits that hold events of the current run, ascending. */
  seqs: number[] = noSeqs
  status: Status = 'running'
  end: Exclude<End, { kind: 'continued' }> | undefined
  lastAtMs: number
  events = 1
  /** What its turns asked for. */
  commands = 0
  bytes = 0
  /** It has ended, and a checkpoint kept its end only. */
  journalGone = false
  cancelAsked = false
  /** Turns so far: 0 means that the program never ran. */
  turns = 0
  /** Who waits for the end: the parent first, if there is one. */
  watchers: readonly ParentLink[]
  search: Readonly<Record<string, unknown>>
  memo: Readonly<Record<string, unknown>>
  readonly pending = new Few<number, PendingEffect>()
  #outbox: Few<string, Outgoing> | undefined
  #updates: Few<string, Outcome | undefined> | undefined
  /** By queue number; delivered ones are undefined. */
  queued: readonly (Wake | undefined)[]
  #ownsQueue = false
  /** Set while the code does not match the journal, or is not there. Not recorded: it is about this node's code. */
  stuck: Stuck | undefined

  constructor(workflow: string, started: Started) {
    this.workflow = workflow
    this.started = started
    this.lastAtMs = started.atMs
    this.search = started.searchAttributes ?? noFields
    this.memo = started.memo ?? noFields
    this.queued = started.messages ?? none
    this.watchers = started.parent === undefined ? none : [started.parent]
  }

  /** What has not reached its target, or is not known to have. */
  get outbox(): Few<string, Outgoing> {
    return (this.#outbox ??= new Few())
  }

  /** Updates that this run accepted, with the results of those that completed. */
  get updates(): Few<string, Outcome | undefined> {
    return (this.#updates ??= new Few())
  }

  get isOpen(): boolean {
    return this.end === undefined
  }

  get run(): number {
    return this.started.run
  }

  /** Something still has to leave, or to be known to have arrived. */
  get owes(): boolean {
    return this.#outbox !== undefined && this.#outbox.size > 0
  }

  get hasUpdates(): boolean {
    return this.#updates !== undefined && this.#updates.size > 0
  }

  /** Entries and commands of the run. */
  get length(): number {
    return this.events + this.commands
  }

  /** An event of the run stands in this commit. */
  stand(seq: number): void {
    if (this.seqs.at(-1) === seq) return
    // Most have one or two, and there are many of them: a copy is of exact size, pushing leaves room for sixteen.
    if (this.seqs.length < 4) this.seqs = [...this.seqs, seq]
    else this.seqs.push(seq)
  }

  /** Children of the run that are not wanted any longer: they get their close policy, as at an end. */
  releaseChildren(isKept: (id: number) => boolean): readonly Outgoing[] {
    const released: Outgoing[] = []
    for (const asked of this.pending.values()) {
      const { id, child, command } = asked
      if (child === undefined || isKept(id)) continue
      const policy = ('options' in command && (command.options as SpawnOptions | undefined)?.parentClose) || 'terminate'
      if (policy === 'abandon') continue
      released.push(
        this.#post({
          ...this.#keyed(`child/${id}`),
          kind: 'exit',
          to: child,
          mode: policy,
          reason: 'its parent ended',
          // A given id may be somebody else's by the time that this is performed again.
          ...(String(child.id) === `${this.workflow}/${this.run}/${id}` ? { asked } : {}),
        }),
      )
    }
    return released
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
        this.#ownQueue().push(event.wake)
        this.#answered(event.wake)
        return noEffects
      case 'attempt_failed':
        this.#attempt(event)
        return noEffects
      case 'settled':
        for (const key of event.keys) this.#outbox?.delete(key)
        if (!this.owes) this.#outbox = undefined
        return noEffects
      case 'watched':
        this.watchers = [...this.watchers, event.watcher]
        return noEffects
      case 'closed':
        this.lastAtMs = event.atMs
        return this.#close(event.end)
    }
  }

  #restart(started: Started): readonly Effect[] {
    // A run that goes on as another keeps its watchers; one that was started anew has those of its start.
    if (started.continued !== true) this.watchers = started.parent === undefined ? none : [started.parent]
    this.started = started
    this.seqs = noSeqs
    this.status = 'running'
    this.end = undefined
    this.lastAtMs = started.atMs
    this.events = 1
    this.commands = 0
    this.bytes = 0
    this.journalGone = false
    this.turns = 0
    this.cancelAsked = false
    this.pending.clear()
    this.#updates = undefined
    this.queued = started.messages ?? none
    this.#ownsQueue = false
    const continued = started.continued === true
    this.search = merged(continued ? this.search : noFields, started.searchAttributes)
    this.memo = merged(continued ? this.memo : noFields, started.memo)
    this.stuck = undefined
    return noEffects
  }

  #turn(turn: Turn): readonly Effect[] {
    this.turns++
    this.commands += turn.commands.length
    this.lastAtMs = turn.atMs
    if (turn.wake.kind === 'queued') this.#delivered(turn.wake.index)
    else this.#answered(turn.wake)
    const effects: Effect[] = []
    for (const recorded of turn.commands) this.#asked(recorded, turn.atMs, effects)
    if (turn.end !== undefined && turn.end.kind !== 'continued' && !isFollowed(turn.end))
      effects.push(...this.#close(turn.end))
    return effects
  }

  #delivered(index: number): void {
    this.#ownQueue()[index] = undefined
  }

  #ownQueue(): (Wake | undefined)[] {
    if (!this.#ownsQueue) this.queued = [...this.queued]
    this.#ownsQueue = true
    return this.queued as (Wake | undefined)[]
  }

  #answered(wake: Wake): void {
    if (wake.kind === 'completed' || wake.kind === 'failed' || wake.kind === 'exit') this.pending.delete(wake.id)
    if (wake.kind === 'cancel') this.cancelAsked = true
    if (wake.kind === 'update') this.updates.set(wake.updateId, undefined)
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
      case 'reply':
        this.updates.set(command.updateId, command.result)
        return
      case 'attributes':
        this.search = merged(this.search, command.search)
        this.memo = merged(this.memo, command.memo)
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
        const effect = pendingOf(recorded, atMs)
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
    const effects: Effect[] = [...this.releaseChildren(() => false)]
    this.watchers.forEach((watcher, number) => {
      effects.push(this.#post({ ...this.#keyed(`notice/${number}`), kind: 'notice', watcher, result: outcomeOf(end) }))
    })
    this.pending.clear()
    this.queued = none
    this.#ownsQueue = false
    this.stuck = undefined
    return effects
  }
}

/** Written out: a spread costs a tenth of a step. */
function pendingOf({ id, command, fireAtMs, child }: RecordedCommand, askedAtMs: number): PendingEffect {
  const kind = 'pending' as const
  const attempt = 1
  const notBeforeMs = 0
  const heartbeat = undefined
  const abandoned = false
  if (fireAtMs !== undefined) {
    return { kind, id, command, fireAtMs, askedAtMs, attempt, notBeforeMs, heartbeat, abandoned }
  }
  if (child !== undefined) {
    return { kind, id, command, child, askedAtMs, attempt, notBeforeMs, heartbeat, abandoned }
  }
  return { kind, id, command, askedAtMs, attempt, notBeforeMs, heartbeat, abandoned }
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

import { isDeepStrictEqual } from 'node:util'
import type { Commit, JournalEvent, MessageWake, Wake } from '@daruma/workflow/internal'
import type { Expected, LedgerLine, Note } from './ledger.ts'
import type { Letter } from './workload.ts'

type Started = Extract<JournalEvent, { kind: 'started' }>
type Turn = Extract<JournalEvent, { kind: 'turn' }>
type RecordedCommand = Turn['commands'][number]

/** A commit with its events decoded, and where it stands. */
export interface ReadCommit {
  readonly partition: string
  readonly seq: number
  readonly commit: Commit
  readonly events: readonly { readonly workflow: string; readonly run: number; readonly event: JournalEvent }[]
}

export interface Violation {
  /** The guarantee of the contract: G1 to G6. */
  readonly guarantee: string
  readonly text: string
}

/** What a completed execution of the checker saw: that it looked at something. */
export interface Account {
  readonly partitions: number
  readonly commits: number
  readonly claims: number
  readonly workflows: number
  readonly runs: number
  readonly events: number
  readonly executions: number
  /** Executions whose call had been executed before: what "at least once" cost. */
  readonly repeated: number
  readonly messages: number
}

export interface Verdict {
  readonly violations: readonly Violation[]
  readonly account: Account
}

interface CommandFacts {
  readonly kind: RecordedCommand['command']['kind']
  readonly askedEpoch: number
  readonly fireAtMs: number | undefined
  /** By number of the attempt that failed. */
  readonly failures: Map<number, { readonly nextAtMs: number; readonly epoch: number }>
  outcomes: number
  outcome: { readonly kind: 'completed' | 'failed' | 'exit'; readonly epoch: number } | undefined
}

interface RunFacts {
  readonly run: number
  /** Its beginning is still there to be read. */
  readonly isWhole: boolean
  readonly type: string | undefined
  readonly commands: Map<number, CommandFacts>
  lastCommand: number
  lastAtMs: number
  end: { readonly kind: string; readonly value?: unknown; readonly error?: string } | undefined
}

interface WorkflowFacts {
  readonly workflow: string
  readonly partition: string
  run: RunFacts
  readonly runs: Map<number, RunFacts>
  readonly taken: Map<string, number>
  readonly lastSerial: Map<string, number>
  readonly parent: string | undefined
}

interface PartitionFacts {
  epoch: number
  commit: number
  seq: number
  /** Something was cut off in front of what is there. */
  readonly isTrimmed: boolean
}

const maxViolations = 200

/**
 * Holds a history to the guarantees of the contract. Pure: commits in the order of each partition's log, then `verdict`
 * with what the outside knows.
 *
 * - K1 (G4) In a partition's log epochs grow by claims only, by one each; the commits of an epoch count up without a gap;
 *   no commit of an epoch stands behind the claim of a later one.
 * - K2 (G2) The runs of a workflow follow each other, each begins once and behind the end of the one before, its commands
 *   count up, and no event that moves it stands behind its end.
 * - K3 (G3) A command is answered at most once, and only after it was asked.
 * - K4 (G3) Whatever is executed had been recorded as asked: by an owner of the executing epoch or an earlier one. A
 *   second attempt follows a recorded failure of the first. Within one epoch an attempt is executed once.
 * - K5 (G3) A recorded result has an execution. Nothing is executed by a later owner than the one that recorded the
 *   result, nor by the same one beyond the attempt that gave it. (The in-flight window is what remains: owners of
 *   earlier epochs, which do not know of it yet.)
 * - K6 (G6) A timer is not answered before its instant, a retry not executed before its; instants are the asking turn's
 *   plus the duration; the time of a workflow never goes back.
 * - K7 (G5) An acknowledged message was taken once, a refused one never, and each sender's in its order.
 * - K8 (G1) Every workflow that began has ended, and every acknowledged start began; with the end that it must have.
 */
export class Checker {
  readonly #violations: Violation[] = []
  readonly #partitions = new Map<string, PartitionFacts>()
  readonly #workflows = new Map<string, WorkflowFacts>()
  #commits = 0
  #claims = 0
  #events = 0
  #messages = 0

  take({ partition, seq, commit, events }: ReadCommit): void {
    this.#commits++
    const facts = this.#order(partition, seq, commit)
    for (const { workflow, run, event } of events) {
      this.#events++
      this.#event(partition, facts, workflow, run, event)
    }
  }

  // --- K1 ----------------------------------------------------------------------------------------------------------

  #order(partition: string, seq: number, commit: Commit): PartitionFacts {
    const where = `${partition} at ${seq}`
    const { epoch, commit: number } = commit
    const isClaim = commit.kind === 'claimed'
    if (isClaim) this.#claims++
    const known = this.#partitions.get(partition)
    if (known === undefined) {
      const first = { epoch, commit: number, seq, isTrimmed: !(isClaim && epoch === 1) }
      this.#partitions.set(partition, first)
      return first
    }
    if (seq <= known.seq) this.#fail('G4', `${where}: stands behind ${known.seq}`)
    if (isClaim) {
      if (epoch !== known.epoch + 1) this.#fail('G4', `${where}: epoch ${epoch} is claimed behind epoch ${known.epoch}`)
      if (number !== 0) this.#fail('G4', `${where}: the claim of epoch ${epoch} is its commit ${number}`)
    } else if (epoch !== known.epoch) {
      this.#fail('G4', `${where}: commit ${number} of epoch ${epoch} stands where epoch ${known.epoch} owns`)
    } else if (number !== known.commit + 1) {
      this.#fail('G4', `${where}: epoch ${epoch} goes from commit ${known.commit} to ${number}`)
    }
    known.epoch = Math.max(known.epoch, epoch)
    known.commit = number
    known.seq = seq
    return known
  }

  // --- K2, K3, K6 and the messages of K7 ---------------------------------------------------------------------------

  #event(partition: string, at: PartitionFacts, workflow: string, run: number, event: JournalEvent): void {
    const where = `${workflow}/${run}`
    if (event.kind === 'started') return this.#started(partition, at, workflow, run, event)
    const isMoving = event.kind !== 'settled' && event.kind !== 'watched'
    const facts = isMoving ? this.#workflow(partition, at, workflow, run) : this.#workflows.get(workflow)
    if (facts === undefined) return
    if (facts.partition !== partition) {
      this.#fail('G2', `${where} stands in ${partition} and in ${facts.partition}`)
    }
    if (!isMoving) return
    if (facts.run.run !== run) return this.#fail('G2', `${where}: ${event.kind} while its run is ${facts.run.run}`)
    const current = facts.run
    if (current.end !== undefined) {
      return this.#fail('G2', `${where}: ${event.kind} behind its end (${current.end.kind})`)
    }
    // A failed attempt has the owner's time, not the workflow's: a turn that was running meanwhile stands behind it.
    if (event.kind !== 'attempt_failed') {
      if (event.atMs < current.lastAtMs) {
        this.#fail('G6', `${where}: its time goes back from ${current.lastAtMs} to ${event.atMs}`)
      }
      current.lastAtMs = Math.max(event.atMs, current.lastAtMs)
    }
    switch (event.kind) {
      case 'turn':
        return this.#turn(facts, at.epoch, event)
      case 'queued':
        return this.#woken(facts, at.epoch, event.wake, event.atMs)
      case 'attempt_failed': {
        const command = current.commands.get(event.id)
        if (command === undefined) {
          if (current.isWhole) this.#fail('G3', `${where}/${event.id}: attempt ${event.attempt} failed, nobody asked`)
          return
        }
        if (command.outcome !== undefined) {
          this.#fail('G3', `${where}/${event.id}: attempt ${event.attempt} failed behind its result`)
        }
        if (command.failures.has(event.attempt)) {
          this.#fail('G3', `${where}/${event.id}: attempt ${event.attempt} is recorded twice as failed`)
        }
        command.failures.set(event.attempt, { nextAtMs: event.nextAtMs, epoch: at.epoch })
        return
      }
      case 'closed':
        current.end = { kind: event.end.kind, error: event.end.error.message }
        return
    }
  }

  #started(partition: string, at: PartitionFacts, workflow: string, run: number, event: Started): void {
    const where = `${workflow}/${run}`
    const known = this.#workflows.get(workflow)
    const next: RunFacts = {
      run,
      isWhole: true,
      type: event.type,
      commands: new Map(),
      lastCommand: 0,
      lastAtMs: event.atMs,
      end: undefined,
    }
    if (known === undefined) {
      if (run !== 1 && !at.isTrimmed) this.#fail('G2', `${where}: it begins with run ${run}`)
      const facts: WorkflowFacts = {
        workflow,
        partition,
        run: next,
        runs: new Map([[run, next]]),
        taken: new Map(),
        lastSerial: new Map(),
        parent: event.parent === undefined ? undefined : String(event.parent.pid.id),
      }
      this.#workflows.set(workflow, facts)
      for (const message of event.messages ?? []) this.#taken(facts, message)
      return
    }
    const before = known.run
    if (known.runs.has(run)) this.#fail('G2', `${where}: it is started twice`)
    else if (run !== before.run + 1) this.#fail('G2', `${where}: it follows run ${before.run}`)
    if (before.end === undefined) this.#fail('G2', `${where}: it is started while run ${before.run} is open`)
    if ((event.continued === true) !== (before.end?.kind === 'continued')) {
      this.#fail('G2', `${where}: it follows an end of kind ${before.end?.kind ?? 'none'}`)
    }
    if (event.atMs < before.lastAtMs) {
      this.#fail('G6', `${where}: its time goes back from ${before.lastAtMs} to ${event.atMs}`)
    }
    known.run = next
    known.runs.set(run, next)
    const listed = new Set<string>()
    for (const message of event.messages ?? []) {
      const { messageId } = message
      if (messageId !== undefined && listed.has(messageId)) {
        this.#fail('G5', `${where}: message ${messageId} comes along twice`)
      }
      if (messageId !== undefined) listed.add(messageId)
      // What nobody read before comes along; what comes for the first time is taken here.
      if (messageId === undefined || !known.taken.has(messageId)) this.#taken(known, message)
    }
  }

  /** What is known of a workflow; a stranger whose beginning was trimmed away is made known from here on. */
  #workflow(partition: string, at: PartitionFacts, workflow: string, run: number): WorkflowFacts | undefined {
    const known = this.#workflows.get(workflow)
    if (known !== undefined) return known
    if (!at.isTrimmed) {
      this.#fail('G2', `${workflow}/${run}: an event without a start`)
      return undefined
    }
    const facts: RunFacts = {
      run,
      isWhole: false,
      type: undefined,
      commands: new Map(),
      lastCommand: 0,
      lastAtMs: 0,
      end: undefined,
    }
    const stranger: WorkflowFacts = {
      workflow,
      partition,
      run: facts,
      runs: new Map([[run, facts]]),
      taken: new Map(),
      lastSerial: new Map(),
      parent: undefined,
    }
    this.#workflows.set(workflow, stranger)
    return stranger
  }

  #turn(facts: WorkflowFacts, epoch: number, turn: Turn): void {
    const { run } = facts
    const where = `${facts.workflow}/${run.run}`
    this.#woken(facts, epoch, turn.wake, turn.atMs)
    for (const { id, command, fireAtMs } of turn.commands) {
      if (id === 0) continue
      if (run.isWhole && id !== run.lastCommand + 1) {
        this.#fail('G2', `${where}: command ${id} follows command ${run.lastCommand}`)
      }
      run.lastCommand = id
      run.commands.set(id, {
        kind: command.kind,
        askedEpoch: epoch,
        fireAtMs,
        failures: new Map(),
        outcomes: 0,
        outcome: undefined,
      })
      if (command.kind === 'sleep' && fireAtMs !== turn.atMs + command.durationMs) {
        this.#fail('G6', `${where}/${id}: a sleep of ${command.durationMs} ms asked at ${turn.atMs} is for ${fireAtMs}`)
      }
    }
    const { end } = turn
    if (end === undefined) return
    run.end =
      end.kind === 'completed'
        ? { kind: end.kind, value: end.value }
        : { kind: end.kind, ...(end.kind === 'continued' ? {} : { error: end.error.message }) }
  }

  #woken(facts: WorkflowFacts, epoch: number, wake: Wake, atMs: number): void {
    if (wake.kind === 'message') return this.#taken(facts, wake)
    if (wake.kind !== 'completed' && wake.kind !== 'failed' && wake.kind !== 'exit') return
    const { run } = facts
    const where = `${facts.workflow}/${run.run}/${wake.id}`
    const command = run.commands.get(wake.id)
    if (command === undefined) {
      if (run.isWhole) this.#fail('G3', `${where}: ${wake.kind}, nobody asked`)
      return
    }
    command.outcomes++
    if (command.outcomes > 1) this.#fail('G3', `${where}: answered ${command.outcomes} times`)
    command.outcome ??= { kind: wake.kind, epoch }
    if (command.kind === 'sleep' && wake.kind === 'completed' && atMs < command.fireAtMs!) {
      this.#fail('G6', `${where}: fired ${command.fireAtMs! - atMs} ms early`)
    }
  }

  #taken(facts: WorkflowFacts, { messageId, payload }: MessageWake): void {
    this.#messages++
    if (messageId !== undefined) {
      const times = (facts.taken.get(messageId) ?? 0) + 1
      facts.taken.set(messageId, times)
      if (times > 1) return this.#fail('G5', `${facts.workflow}: message ${messageId} is taken ${times} times`)
    }
    const [letter] = payload
    if (!isLetter(letter)) return
    const last = facts.lastSerial.get(letter.from) ?? 0
    if (letter.serial <= last) {
      this.#fail('G5', `${facts.workflow}: letter ${letter.serial} of ${letter.from} comes behind ${last}`)
    }
    facts.lastSerial.set(letter.from, letter.serial)
  }

  // --- the outside -------------------------------------------------------------------------------------------------

  verdict(ledger: readonly LedgerLine[], notes: readonly Note[]): Verdict {
    const { executions, repeated, executed } = this.#executions(ledger)
    this.#unexecuted(executed)
    this.#notes(notes)
    this.#unended()
    let runs = 0
    for (const facts of this.#workflows.values()) runs += facts.runs.size
    return {
      violations: this.#violations,
      account: {
        partitions: this.#partitions.size,
        commits: this.#commits,
        claims: this.#claims,
        workflows: this.#workflows.size,
        runs,
        events: this.#events,
        executions,
        repeated,
        messages: this.#messages,
      },
    }
  }

  /** K4, K5 and the retries of K6. */
  #executions(ledger: readonly LedgerLine[]): { executions: number; repeated: number; executed: Set<string> } {
    const owned = new Map<string, number>()
    const executed = new Set<string>()
    const lastAttempts = new Map<string, number>()
    let executions = 0
    for (const line of ledger) {
      if (line.kind === 'claim') {
        owned.set(`${line.life} ${line.partition}`, line.epoch)
        continue
      }
      if (line.kind === 'stuck') {
        this.#fail('G2', `${line.workflow} is stuck on ${line.life}: ${line.reason}`)
        continue
      }
      executions++
      const { key, attempt, life, atMs } = line
      executed.add(key)
      const what = `${key}, attempt ${attempt} on ${life}`
      const facts = this.#workflows.get(workflowOf(key))
      if (facts === undefined) {
        if (!this.#isTrimmed()) this.#fail('G3', `${what}: executed for a workflow that is in no log`)
        continue
      }
      const epoch = owned.get(`${life} ${facts.partition}`)
      if (epoch === undefined) {
        this.#fail('G4', `${what}: executed by a node that never owned ${facts.partition}`)
        continue
      }
      const inEpoch = `${key} ${epoch}`
      const last = lastAttempts.get(inEpoch) ?? 0
      if (attempt <= last) this.#fail('G3', `${what}: epoch ${epoch} had executed attempt ${last} before`)
      lastAttempts.set(inEpoch, attempt)
      const run = facts.runs.get(runOf(key))
      const command = run?.commands.get(idOf(key))
      if (command === undefined) {
        if (run?.isWhole === true || !this.#isTrimmed())
          this.#fail('G3', `${what}: executed, but never recorded as asked`)
        continue
      }
      this.#execution(what, command, attempt, epoch, atMs)
    }
    return { executions, repeated: executions - executed.size, executed }
  }

  #execution(what: string, command: CommandFacts, attempt: number, epoch: number, atMs: number): void {
    if (command.kind !== 'call') return this.#fail('G3', `${what}: executed, but recorded as ${command.kind}`)
    if (command.askedEpoch > epoch) {
      this.#fail('G3', `${what}: executed in epoch ${epoch}, asked for in epoch ${command.askedEpoch} only`)
    }
    if (attempt > 1) {
      const failure = command.failures.get(attempt - 1)
      if (failure === undefined || failure.epoch > epoch) {
        this.#fail(
          'G3',
          `${what}: executed in epoch ${epoch} before the failure of attempt ${attempt - 1} was recorded`,
        )
      } else if (atMs < failure.nextAtMs) {
        this.#fail('G6', `${what}: executed ${failure.nextAtMs - atMs} ms before its instant`)
      }
    }
    const { outcome } = command
    if (outcome === undefined) return
    if (epoch > outcome.epoch) {
      this.#fail('G3', `${what}: executed in epoch ${epoch}, its result stands since epoch ${outcome.epoch}`)
    }
    if (attempt > command.failures.size + 1) {
      this.#fail('G3', `${what}: executed beyond attempt ${command.failures.size + 1}, which gave its result`)
    }
  }

  /** K5. A failure may be the end of a call that was never executed: cancelled, or out of time. */
  #unexecuted(executed: ReadonlySet<string>): void {
    for (const { workflow, runs } of this.#workflows.values()) {
      for (const { run, commands } of runs.values()) {
        for (const [id, { kind, outcome }] of commands) {
          const key = `${workflow}/${run}/${id}`
          if (kind === 'call' && outcome?.kind === 'completed' && !executed.has(key)) {
            this.#fail('G3', `${key}: has a result, and was never executed`)
          }
        }
      }
    }
  }

  /** K7, and the starts of K8. */
  #notes(notes: readonly Note[]): void {
    for (const note of notes) {
      const facts = this.#workflows.get(note.workflow)
      switch (note.kind) {
        case 'started':
          if (facts === undefined) {
            if (!this.#isTrimmed()) this.#fail('G1', `${note.workflow}: its start was acknowledged, and is in no log`)
          } else {
            this.#ended(facts, note.expected)
          }
          break
        case 'sent':
          if (facts === undefined ? !this.#isTrimmed() : this.#lacks(facts, note.messageId)) {
            this.#fail('G5', `${note.workflow}: message ${note.messageId} was acknowledged, and is in no log`)
          }
          break
        case 'refused':
          if (facts?.taken.has(note.messageId) === true) {
            this.#fail('G5', `${note.workflow}: message ${note.messageId} was refused (${note.reason}), and was taken`)
          }
          break
        case 'strange':
          this.#fail('G1', `${note.workflow}: ${note.reason}`)
          break
      }
    }
  }

  #lacks(facts: WorkflowFacts, messageId: string): boolean {
    return !facts.taken.has(messageId) && (facts.runs.get(1)?.isWhole === true || !this.#isTrimmed())
  }

  #ended(facts: WorkflowFacts, expected: Expected): void {
    const { end } = facts.run
    if (end === undefined) return // #unended says so
    const problem = unexpected({ status: end.kind, result: end.value }, expected)
    if (problem !== undefined) this.#fail('G1', `${facts.workflow}: ${problem}`)
  }

  /** K8. */
  #unended(): void {
    for (const { workflow, run } of this.#workflows.values()) {
      if (run.end === undefined || run.end.kind === 'continued') {
        this.#fail('G1', `${workflow}/${run.run} (${run.type ?? 'its beginning was trimmed'}) never ended`)
      }
    }
  }

  #isTrimmed(): boolean {
    for (const { isTrimmed } of this.#partitions.values()) if (isTrimmed) return true
    return false
  }

  #fail(guarantee: string, text: string): void {
    if (this.#violations.length < maxViolations) this.#violations.push({ guarantee, text })
  }
}

/** What is wrong with an end, as a sentence; undefined: nothing. */
export function unexpected(
  { status, result }: { readonly status: string; readonly result?: unknown },
  { status: wanted, value, letters }: Expected,
): string | undefined {
  if (status !== wanted) return `ended ${status}, not ${wanted}`
  if (value !== undefined && !isDeepStrictEqual(result, value)) {
    return `ended with ${JSON.stringify(result)}, not with ${JSON.stringify(value)}`
  }
  if (letters === undefined) return undefined
  const read = new Map<string, number>()
  for (const { from, serial } of result as readonly Letter[]) {
    const last = read.get(from) ?? 0
    if (serial !== last + 1) return `its code read letter ${serial} of ${from} behind ${last}`
    read.set(from, serial)
  }
  for (const [from, count] of Object.entries(letters)) {
    if ((read.get(from) ?? 0) !== count) return `its code read ${read.get(from) ?? 0} of ${count} letters of ${from}`
  }
  return undefined
}

function isLetter(value: unknown): value is Letter {
  return typeof value === 'object' && value !== null && 'from' in value && 'serial' in value
}

/** Keys are `<workflow>/<run>/<command>`, and a child's id is its parent's key: read from behind. */
function workflowOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/', key.lastIndexOf('/') - 1))
}

function runOf(key: string): number {
  return Number(key.split('/').at(-2))
}

function idOf(key: string): number {
  return Number(key.split('/').at(-1))
}

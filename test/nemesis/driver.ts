import { toWire, type Rng } from '@daruma/protocol'
import type { Job, Start } from './job.ts'
import type { Note } from './ledger.ts'
import type { NodeProcess } from './node-process.ts'
import type { Ask } from './wire.ts'
import type { Letter } from './workload.ts'

const answerMs = 5_000

/** The answer that counts: yes, or a no that another try would not change. */
type Final = { readonly kind: 'yes' } | { readonly kind: 'no'; readonly reason: string }

/**
 * The clients of the nodes. Each asks whichever node may own what it asks for, again and again with the same ids, until
 * it is answered; it notes what it was answered, and nothing else.
 */
export class Driver {
  readonly notes: Note[] = []
  /** Messages sent more than once, because an answer did not come. */
  resent = 0
  /** Jobs whose clients are still at it. */
  atWork = 0
  #given = false
  readonly #nodes: readonly NodeProcess[]
  readonly #rng: Rng
  /** Where a workflow's partition was met last. */
  readonly #owners = new Map<string, NodeProcess>()

  constructor(nodes: readonly NodeProcess[], rng: Rng) {
    this.#nodes = nodes
    this.#rng = rng
  }

  async perform(job: Job): Promise<void> {
    this.atWork++
    try {
      for (const start of job.starts) if (!(await this.#start(start))) return
      await Promise.all([...job.mail.map((each) => this.#correspond(each)), job.end && this.#end(job.end)])
    } finally {
      this.atWork--
    }
  }

  /** Nobody will answer any more: clients that still ask stop, and note nothing. */
  giveUp(): void {
    this.#given = true
  }

  async #start({ workflow, type, input, expected }: Start): Promise<boolean> {
    const answer = await this.#untilAnswered(workflow, {
      op: 'start',
      workflow,
      type,
      input,
      requestId: `${workflow}:start`,
    })
    if (answer?.kind === 'yes') this.notes.push({ kind: 'started', workflow, type, expected })
    else if (answer !== undefined) {
      this.notes.push({ kind: 'strange', workflow, reason: `its start was refused: ${answer.reason}` })
    }
    return answer?.kind === 'yes'
  }

  async #correspond({ workflow, from, letters }: Job['mail'][number]): Promise<void> {
    for (let serial = 1; serial <= letters; serial++) {
      const messageId = `${from}>${workflow}#${serial}`
      const payload: Letter = { from, serial }
      const answer = await this.#untilAnswered(workflow, { op: 'send', workflow, topic: 'mail', payload, messageId })
      if (answer === undefined) return
      this.notes.push(
        answer.kind === 'yes'
          ? { kind: 'sent', workflow, messageId }
          : { kind: 'refused', workflow, messageId, reason: answer.reason },
      )
    }
  }

  async #end({ workflow, by, afterMs }: NonNullable<Job['end']>): Promise<void> {
    await pause(afterMs)
    const answer = await this.#untilAnswered(workflow, { op: by, workflow })
    // A repeat may meet the end that it brought about.
    if (answer?.kind === 'no' && !answer.reason.includes('has ended')) {
      this.notes.push({ kind: 'strange', workflow, reason: `its ${by} was refused: ${answer.reason}` })
    }
  }

  async #untilAnswered(workflow: string, ask: Ask): Promise<Final | undefined> {
    for (let round = 0; !this.#given; round++) {
      const node = this.#owners.get(workflow) ?? this.#anyNode()
      if (node !== undefined) {
        if (round > 0) this.resent++
        try {
          await node.ask(ask, answerMs)
          this.#owners.set(workflow, node)
          return { kind: 'yes' }
        } catch (error) {
          this.#owners.delete(workflow)
          const { kind, message } = toWire(error)
          if (kind !== 'unavailable' && kind !== 'timeout') return { kind: 'no', reason: `${kind}: ${message}` }
        }
      }
      await pause(20 + this.#rng.next() * Math.min(20 * 2 ** Math.min(round, 5), 400))
    }
    return undefined
  }

  #anyNode(): NodeProcess | undefined {
    const up = this.#nodes.filter(({ isUp }) => isUp)
    return up[Math.floor(this.#rng.next() * up.length)]
  }
}

export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs)
  })
}

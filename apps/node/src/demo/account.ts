import { formatDurationMs, type Outcome } from '@daruma/protocol'
import { describeCommand, type JournalEvent, type Notice } from '@daruma/workflow'

const colour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined
const paint = (code: string) => (text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text)
export const bold = paint('1')
export const dim = paint('2')
export const red = paint('31')
export const green = paint('32')
export const yellow = paint('33')
export const blue = paint('36')

const subjectWidth = 20

/** The live account of the demonstration: what a person sees. */
export class Account {
  readonly #write: (line: string) => void
  readonly #nowMs: () => number
  readonly #startMs: number

  constructor(nowMs: () => number, write: (line: string) => void = (line) => void process.stdout.write(`${line}\n`)) {
    this.#write = write
    this.#nowMs = nowMs
    this.#startMs = nowMs()
  }

  title(text: string): void {
    this.#write(`\n${bold(text)}`)
  }

  plain(text: string): void {
    this.#write(text)
  }

  say(subject: string, text: string): void {
    const atSeconds = ((this.#nowMs() - this.#startMs) / 1_000).toFixed(1).padStart(6)
    this.#write(`${dim(`${atSeconds}s`)}  ${subject.padEnd(subjectWidth)} ${text}`)
  }

  killed(words: string): void {
    this.say(red('✗ SIGKILL'.padEnd(subjectWidth)), red(words))
  }

  back(afterMs: number, where: string): void {
    this.say(
      green('○ node is up'.padEnd(subjectWidth)),
      dim(`after ${formatDurationMs(Math.round(afterMs))}, journal ${where}`),
    )
  }

  ended(order: string, outcome: Outcome, isRight: boolean): void {
    const text =
      outcome.error === undefined
        ? `result ${JSON.stringify(outcome.value ?? null)}`
        : `error "${outcome.error.message}"`
    this.say(order, `${isRight ? green('ended as it must:') : red('ENDED WRONGLY:')} ${text}`)
  }

  notice(notice: Notice): void {
    switch (notice.kind) {
      case 'recorded':
        return this.#recorded(notice.workflow, notice.event)
      case 'attempt':
        return this.say(
          notice.workflow,
          notice.again
            ? `${yellow('executed again')} ${short(notice.target)} ${dim(`with the same key ${notice.idempotencyKey}`)}`
            : `${blue('executes')} ${short(notice.target)} ${dim(`key ${notice.idempotencyKey}`)}`,
        )
      case 'replayed':
        return this.say(
          notice.workflow,
          green(
            `replayed ${notice.turns} ${notice.turns === 1 ? 'turn' : 'turns'} from the journal; nothing of it was run again`,
          ),
        )
      case 'recovered':
        if (notice.open > 0) {
          this.say(
            green('↻ recovered'.padEnd(subjectWidth)),
            dim(
              `${notice.open} open ${notice.open === 1 ? 'workflow' : 'workflows'} in a partition of ${notice.events} events`,
            ),
          )
        }
        return
      case 'stuck':
        return this.say(notice.workflow, red(`stuck: ${notice.reason}`))
      default:
        return
    }
  }

  #recorded(workflow: string, event: JournalEvent): void {
    if (event.kind === 'started') return this.say(workflow, dim(`recorded: started ${short(event.type)}`))
    if (event.kind !== 'turn') return
    const wake =
      event.wake.kind === 'completed'
        ? `result of #${event.wake.id}`
        : event.wake.kind === 'failed'
          ? `failure of #${event.wake.id}`
          : event.wake.kind === 'message'
            ? `message "${event.wake.topic}"`
            : event.wake.kind
    const asked = event.commands.map(({ command }) => short(describeCommand(command)))
    const next = event.end === undefined ? (asked.length === 0 ? 'waits' : asked.join(', ')) : event.end.kind
    this.say(workflow, dim(`recorded: ${wake} → ${next}`))
  }
}

function short(target: string): string {
  return target.replace(/app\.(workflows:)?/, '')
}

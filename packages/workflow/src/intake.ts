import { AppError, type Codec, type Consumption, type Inbox, type Logger } from '@daruma/protocol'
import type { PartitionAnswer, PartitionRequest } from './requests.ts'

export interface IntakeOptions {
  /** The partition's. */
  readonly name: string
  readonly inbox: Inbox
  readonly codec: Codec
  readonly logger: Logger
  readonly submit: (request: PartitionRequest) => Promise<PartitionAnswer>
}

/** Takes what waits in the inbox of a partition, and what comes. A request that could not be recorded comes again. */
export function consumeInbox({ name, inbox, codec, logger, submit }: IntakeOptions): Promise<Consumption> {
  return inbox.consume(name, (message) => {
    void (async () => {
      try {
        const answer = await submit(codec.decode(message.bytes) as PartitionRequest)
        if (answer.kind === 'refused')
          logger.log('warn', `inbox of ${name}: ${answer.error.message}`, { messageId: message.messageId })
        await message.ack() // trap 7: only now
      } catch (error) {
        logger.log('warn', `inbox of ${name}: ${(error as Error).message}`, { messageId: message.messageId })
        if (error instanceof AppError && error.kind === 'invalid') await message.ack()
      }
    })()
  })
}

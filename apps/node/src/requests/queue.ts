import { AppError } from '@daruma/protocol'
import type { QueueBroker } from './queue-broker.ts'
import type { RequestHandlers } from './table.ts'

export function queueRequests(broker: QueueBroker): RequestHandlers {
  return {
    'queue.publish': ({ queue, payload, headers }) => {
      if (payload === undefined) throw new AppError('invalid', 'queue.publish: there is no payload')
      broker.publish(queue, payload, headers)
      return null
    },
    'queue.info': ({ queue }) => broker.info(queue),
    'queue.ack': ({ message }) => {
      broker.settle(message, 'ack')
      return null
    },
    'queue.nack': ({ message }) => {
      broker.settle(message, 'nack')
      return null
    },
  }
}

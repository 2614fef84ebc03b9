import type { HostContext } from '../engine.ts'
import { sessionOf } from '../session.ts'
import { HostObject, hostClass, toData } from '../value.ts'
import { invalid, isTable, requireText } from './support/args.ts'
import { failWith, fallible, type LuaModule } from './support/module.ts'
import { requireEntryId } from './support/sending.ts'
import { ask, type QueueDelivery } from './requests.ts'

interface DeliveryState extends QueueDelivery {
  isSettled: boolean
}

function settle(self: HostObject<DeliveryState>, ctx: HostContext, handler: 'queue.ack' | 'queue.nack') {
  if (self.state.isSettled) return failWith(invalid('this delivery is settled already'))
  self.state.isSettled = true
  return ask(sessionOf(ctx), handler, { message: self.state.id }, () => [true])
}

const deliveryClass = hostClass<DeliveryState>({
  name: 'queue.message',
  methods: {
    id: ({ state }) => [state.id],
    header: ({ state }, _ctx, [key]) => [state.headers[requireText(key, 'header: key')]],
    headers: ({ state }) => [state.headers],
    ack: (self, ctx) => settle(self, ctx, 'queue.ack'),
    nack: (self, ctx) => settle(self, ctx, 'queue.nack'),
  },
  tostring: ({ state }) => `queue.message(${state.id})`,
})

const slot = 'queue.message'

export const queueModule: LuaModule = {
  name: 'queue',
  summary: 'Queues of the app: publish, and what a consumer was called for.',
  deterministic: false,
  spec: {
    publish: fallible((ctx, [id, payload, headers]) => {
      if (payload === undefined) throw invalid('publish: data must not be nil')
      const data = isTable(headers) ? toData(headers) : {}
      const input = {
        queue: requireEntryId(id, 'publish: queue'),
        payload: toData(payload),
        headers: Array.isArray(data) ? {} : (data as Record<string, unknown>),
      }
      return ask(sessionOf(ctx), 'queue.publish', input, () => [true])
    }),
    message: fallible((ctx) => {
      const { host, slots } = sessionOf(ctx)
      const delivery = host.context['@queue'] as QueueDelivery | undefined
      if (delivery === undefined) throw invalid('queue.message: this program was not called by a queue consumer')
      const known = slots.get(slot)
      if (known !== undefined) return [known]
      const message = new HostObject(deliveryClass, { ...delivery, isSettled: false })
      slots.set(slot, message)
      return [message]
    }),
    info: fallible((ctx, [id]) => ask(sessionOf(ctx), 'queue.info', { queue: requireEntryId(id, 'info: queue') })),
  },
  docs: {
    'queue.publish(id, data, headers?) -> true | nil, error': 'Stored when it returns.',
    'queue.message() -> message | nil, error': 'In a consumer: `id()`, `header(key)`, `headers()`, `ack()`, `nack()`.',
    'queue.info(id) -> table | nil, error': 'Counts, as far as the driver knows them.',
  },
}

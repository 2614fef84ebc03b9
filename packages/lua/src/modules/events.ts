import type { Channel } from '../engine.ts'
import { sessionOf, type Session } from '../session.ts'
import { HostObject, hostClass, toData } from '../value.ts'
import { requireName } from './support/args.ts'
import { valueOf } from './support/message.ts'
import { fallible, type LuaModule } from './support/module.ts'
import { ask } from './requests.ts'

interface SubscriptionState {
  readonly session: Session
  readonly topic: string
  readonly channel: Channel
  isClosed: boolean
}

const subscriptionClass = hostClass<SubscriptionState>({
  name: 'subscription',
  methods: {
    channel: ({ state }) => [state.channel],
    close: ({ state }) => {
      if (state.isClosed) return [true]
      state.isClosed = true
      const { session, topic } = state
      session.mailbox.closePrivate(topic)
      return ask(session, 'events.unsubscribe', { topic }, () => [true])
    },
  },
  tostring: ({ state }) => `subscription(${state.topic})`,
})

export const eventsModule: LuaModule = {
  name: 'events',
  summary: 'The event bus: best effort, for watching.',
  deterministic: false,
  spec: {
    subscribe: fallible((ctx, [system, kind]) => {
      const session = sessionOf(ctx)
      const topic = session.privateTopic('events')
      const pattern = requireName(system, 'subscribe: system')
      const kindPattern = kind === undefined ? {} : { kind: requireName(kind, 'subscribe: kind') }
      // The channel is there before the host knows of it: no event can come too early.
      const channel = session.mailbox.listenPrivately(topic, (event) => valueOf(session, event))
      return session.askOutcome(
        { kind: 'request', handler: 'events.subscribe', input: { system: pattern, ...kindPattern, topic } },
        (completion) => {
          if ('error' in completion) {
            session.mailbox.closePrivate(topic)
            return session.failed(completion.error)
          }
          return [new HostObject(subscriptionClass, { session, topic, channel, isClosed: false })]
        },
      )
    }),
    send: fallible((ctx, [system, kind, path, data]) => {
      const event = {
        system: requireName(system, 'send: system'),
        kind: requireName(kind, 'send: kind'),
        path: requireName(path, 'send: path'),
        ...(data === undefined ? {} : { data: toData(data) }),
      }
      return ask(sessionOf(ctx), 'events.send', event, () => [true])
    }),
  },
  docs: {
    'events.subscribe(system, kind?) -> subscription | nil, error':
      'Patterns of dotted segments: `*` one, `**` any number, `(a|b)` alternatives.',
    'subscription:channel() -> channel': 'Delivers {system, kind, path, data}.',
    'subscription:close() -> true': 'Idempotent.',
    'events.send(system, kind, path, data?) -> true | nil, error': 'None of the three may be empty.',
  },
}

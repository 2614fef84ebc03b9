import { formatPid } from '@daruma/protocol'
import type { MessageEvent } from '@daruma/protocol'
import type { HostValue, LuaTable } from '../../engine.ts'
import type { Session } from '../../session.ts'
import { HostObject, hostClass } from '../../value.ts'
import { isString, textOf } from './args.ts'
import { payloadOf, type Payload } from './payload-object.ts'

export interface MessageState {
  readonly session: Session
  readonly event: MessageEvent
  /** The payload as a table of the process, made when a field of it is first asked for. */
  table: LuaTable | undefined
  payload: Payload | undefined
}

export type Message = HostObject<MessageState>

/** A message answers `topic()`, `from()`, `payload()`, and the plain fields of a payload that is a table. */
export const messageClass = hostClass<MessageState>({
  name: 'message',
  methods: {
    topic: (self) => [self.state.event.topic],
    from: (self) => [self.state.event.from === undefined ? '' : formatPid(self.state.event.from)],
    payload: (self) => [payloadOfMessage(self.state)],
  },
  index: (self, key) => {
    const data = valueOf(self.state.session, self.state.event)
    if (typeof data !== 'object' || data === null || data instanceof Uint8Array || data instanceof HostObject)
      return undefined
    if (typeof key !== 'number' && !isString(key)) return undefined
    const table = (self.state.table ??= self.state.session.proc.table(data))
    return table.get(typeof key === 'number' ? key : textOf(key))
  },
  tostring: (self) => `message(${self.state.event.topic})`,
})

/** What was sent: nothing, the one value, or the several as an array. */
export function valueOf(session: Session, event: MessageEvent): HostValue {
  const { payload } = event
  return session.revive(payload.length <= 1 ? payload[0] : payload)
}

export const messageOf = (session: Session, event: MessageEvent): Message =>
  new HostObject(messageClass, { session, event, table: undefined, payload: undefined })

function payloadOfMessage(state: MessageState): Payload | undefined {
  if (state.event.payload.length === 0) return undefined
  const data = valueOf(state.session, state.event)
  const isPlainTable =
    typeof data === 'object' &&
    data !== null &&
    !(data instanceof Uint8Array) &&
    !(data instanceof HostObject) &&
    !(data instanceof Error)
  // One table for the payload and for the fields of the message: what is written to one is seen in the other.
  if (isPlainTable) state.table ??= state.session.proc.table(data)
  return (state.payload ??= payloadOf(isPlainTable ? state.table : data))
}

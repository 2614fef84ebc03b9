import { parsePid } from '@daruma/protocol'
import type { Destination, Pid } from '@daruma/protocol'
import type { LuaValue } from '../../engine.ts'
import type { Session } from '../../session.ts'
import { toData } from '../../value.ts'
import { invalid, requireName } from './args.ts'
import { isPayload, unwrapped } from './payload-object.ts'

/** Values as they leave the process: copies; a payload is what it holds. @throws AppError invalid - functions and the like */
export function sendable(session: Session, values: readonly LuaValue[]): readonly unknown[] {
  return values.map((value) => (isPayload(value) ? unwrapped(value, session) : toData(value)))
}

/** A pid's text, with or without braces, or a registered name. */
export function requireDestination(session: Session, value: LuaValue, what: string): Destination {
  const text = requireName(value, what)
  return parsePid(text, session.host.self.home.node) ?? text
}

export function requirePid(session: Session, value: LuaValue, what: string): Pid {
  const text = requireName(value, what)
  const pid = parsePid(text, session.host.self.home.node)
  if (pid === undefined) throw invalid(`${what}: "${text}" is not the text of a pid`)
  return pid
}

/** A topic that programs may send to. */
export function requireTopic(value: LuaValue, what: string): string {
  const topic = requireName(value, what)
  if (topic.startsWith('@')) throw invalid(`${what}: "${topic}" is reserved; topics of programs do not start with "@"`)
  return topic
}

/** An entry id of the form namespace:name. */
export function requireEntryId(value: LuaValue, what: string): string {
  const id = requireName(value, what)
  const colon = id.indexOf(':')
  if (colon <= 0 || colon === id.length - 1)
    throw invalid(`${what}: "${id}" is not an entry id; write it as namespace:name`)
  return id
}

import { Pid, Ref, Tagged, formatPid } from '@daruma/protocol'
import type { HostValue } from './engine.ts'
import { actorTag, reviveActor, reviveScope, scopeTag } from './modules/support/actor.ts'
import { duration, durationTag } from './modules/support/duration.ts'
import { instant, instantTag, reviveInstant } from './modules/support/instant.ts'
import { payloadTag, revivePayload } from './modules/support/payload-object.ts'
import { utcZone, type ZoneTable } from './modules/support/zone.ts'
import { tableTag } from './value.ts'

/**
 * What Lua gets for a value of the protocol: times, durations, payloads and actors are objects again, a pid is its text.
 * Anything else is given back as it is. Only the value itself: the engine asks again for what lies within.
 */
export function revive(value: unknown, zones: ZoneTable): HostValue {
  if (value instanceof Tagged) return reviveTagged(value, zones)
  if (value instanceof Pid) return formatPid(value)
  return value instanceof Ref ? String(value) : value
}

/**
 * What Lua gets for an instance of a class that the engine does not know: the above, a Date as a time, a Set as a list,
 * any other one as a table of its fields, as it would arrive from another node.
 */
export function reviveInstance(value: object, zones: ZoneTable): HostValue {
  const revived = revive(value, zones)
  if (revived !== value) return revived
  if (value instanceof Date) return instant(BigInt(value.getTime()) * 1_000_000n, utcZone)
  if (value instanceof Set) return [...value]
  return { ...value }
}

function reviveTagged(tagged: Tagged, zones: ZoneTable): HostValue {
  switch (tagged.tag) {
    case tableTag:
      return tagged
    case durationTag:
      return duration(BigInt(tagged.value as string))
    case instantTag:
      return reviveInstant(tagged.value, zones)
    case payloadTag:
      return revivePayload(tagged.value)
    case actorTag:
      return reviveActor(tagged.value)
    case scopeTag:
      return reviveScope(tagged.value)
    default:
      // Another program's type: its plain data are all that can be said about it.
      return tagged.value
  }
}

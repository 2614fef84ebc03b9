import type { NativeFunction } from '../fengari/types.ts'
import { baseFunctions, stringOf } from './base.ts'
import { channelLibrary } from './channel.ts'
import { coroutineLibrary } from './coroutine.ts'
import { mathLibrary } from './math.ts'
import { osLibrary } from './os.ts'
import { stringLibrary } from './string.ts'
import { tableLibrary } from './table.ts'
import { utf8Library } from './utf8.ts'

export interface StandardLibrary {
  readonly members: Readonly<Record<string, NativeFunction | number | string>>
  /** What calling the table itself does. */
  readonly callable?: NativeFunction
}

/** Every global of the language, the same for all processes. No io, debug, package, load. */
export function standardGlobals(): {
  readonly libraries: Readonly<Record<string, StandardLibrary>>
  readonly functions: Readonly<Record<string, NativeFunction>>
} {
  return {
    functions: { ...baseFunctions, unpack: tableLibrary['unpack']! },
    libraries: {
      string: { members: stringLibrary, callable: stringOf },
      table: { members: tableLibrary },
      math: { members: mathLibrary },
      os: { members: osLibrary },
      ostime: { members: osLibrary },
      utf8: { members: utf8Library },
      coroutine: { members: coroutineLibrary },
      channel: { members: channelLibrary },
    },
  }
}

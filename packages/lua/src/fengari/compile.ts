import { createHash } from 'node:crypto'
import { AppError } from '@daruma/protocol'
import type { Unit } from '../engine.ts'
import { fengari } from './load.ts'
import { forPeople, toBytes } from './text.ts'
import { status } from './types.ts'
import type { LClosure, LuaState, Proto, TString } from './types.ts'

export class FengariUnit implements Unit {
  readonly kind = 'unit' as const
  readonly name: string
  readonly hash: string
  readonly proto: Proto
  constructor(name: string, hash: string, proto: Proto) {
    this.name = name
    this.hash = hash
    this.proto = proto
  }
}

export const unitHash = (source: string, name: string): string =>
  createHash('sha256').update(name).update('\0').update(source).digest('hex')

/** Text to a Proto, in `L`, in which nothing runs. @throws AppError invalid - a syntax error */
export function compileUnit(L: LuaState, code: string, name: string, hash: string): FengariUnit {
  const { lapi, ldo } = fengari
  let bytes: Uint8Array | null = toBytes(code)
  // A first line for a shell is a comment, as for the stand-alone interpreter.
  if (code.startsWith('#')) bytes = toBytes(code.replace(/^#[^\n]*/, ''))
  const base = L.top
  try {
    const result = lapi.lua_load(
      L,
      () => {
        const chunk = bytes
        bytes = null
        return chunk
      },
      null,
      toBytes(`@${name}`),
      toBytes('t'),
    )
    const top = L.stack[L.top - 1]!
    if (result !== status.ok) {
      const message = forPeople((top.value as TString).realstring)
      const line = /:(\d+): /.exec(message.slice(name.length))?.[1]
      throw new AppError('invalid', message, { name, line: line === undefined ? undefined : Number(line) })
    }
    const { p } = top.value as LClosure
    forgetClosures(p)
    return new FengariUnit(name, hash, p)
  } finally {
    ldo.adjust_top(L, base)
  }
}

/**
 * A prototype remembers the last closure made of it, with that closure's variables: shared by processes, it would keep
 * the globals of a dead one, and give closures of one process to the other.
 */
function forgetClosures(proto: Proto): void {
  Object.defineProperty(proto, 'cache', { get: () => null, set: (_closure: unknown) => {} })
  for (const inner of proto.p) forgetClosures(inner)
}

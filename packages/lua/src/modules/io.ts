import { call, type HostFunction, type HostResult, type LuaFunction, type LuaValue } from '../engine.ts'
import { sessionOf, type Session } from '../session.ts'
import { HostObject } from '../value.ts'
import { bytesOf, isFunction, isString, optional, requireInteger } from './support/args.ts'
import { fallible, type LuaModule } from './support/module.ts'
import { ask } from './requests.ts'

const ok = (): HostResult => [true]

/** The texts of `values` by Lua's own tostring, which may run program code. */
function texts(
  ctx: Parameters<HostFunction>[0],
  values: readonly LuaValue[],
  then: (session: Session, parts: readonly Buffer[]) => HostResult,
): HostResult {
  const tostring = ctx.proc.global('tostring')
  const parts: Buffer[] = []
  const session = sessionOf(ctx)
  const next = (at: number): HostResult => {
    for (let index = at; index < values.length; index++) {
      const value = values[index]
      if (isString(value)) parts.push(bytesOf(value))
      else if (value instanceof HostObject && value.class.tostring !== undefined)
        parts.push(Buffer.from(value.class.tostring(value)))
      else if (isFunction(tostring)) {
        return call(tostring as LuaFunction, [value], (_inner, [text]) => {
          parts.push(isString(text) ? bytesOf(text) : Buffer.alloc(0))
          return next(index + 1)
        })
      }
    }
    return then(session, parts)
  }
  return next(0)
}

const printTo = (stream: 'stdout' | 'stderr'): HostFunction =>
  fallible((ctx, values) =>
    texts(ctx, values, (session, parts) => {
      const line = Buffer.concat(parts.flatMap((part, index) => (index === 0 ? [part] : [Buffer.from('\t'), part])))
      return ask(session, 'io.write', { stream, data: shown(Buffer.concat([line, Buffer.from('\n')])) }, ok)
    }),
  )

/** Text where it is text: the host's terminal then need not guess. */
function shown(bytes: Buffer): string | Uint8Array {
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes) ? text : new Uint8Array(bytes)
}

export const ioModule: LuaModule = {
  name: 'io',
  summary: 'The terminal of a command.',
  deterministic: false,
  spec: {
    write: fallible((ctx, values) =>
      texts(ctx, values, (session, parts) =>
        ask(session, 'io.write', { stream: 'stdout', data: shown(Buffer.concat(parts)) }, ok),
      ),
    ),
    print: printTo('stdout'),
    eprint: printTo('stderr'),
    flush: fallible((ctx) => ask(sessionOf(ctx), 'io.flush', null, ok)),
    read: fallible((ctx, [count]) => {
      const wanted = optional(count, requireInteger, 'read: count') ?? 1_024
      return ask(sessionOf(ctx), 'io.read', { maxBytes: wanted > 0 ? wanted : 1_024 })
    }),
    readline: fallible((ctx) => ask(sessionOf(ctx), 'io.readline', null)),
    args: (ctx) => ask(sessionOf(ctx), 'io.args', null),
  },
  docs: {
    'io.write(...) -> true | nil, error': 'Without anything in between or at the end.',
    'io.print(...), io.eprint(...) -> true | nil, error': 'With tabs in between and a newline; to stdout, to stderr.',
    'io.flush() -> true | nil, error': '',
    'io.read(count?) -> bytes | nil, error': 'Up to count bytes (1024); empty at the end.',
    'io.readline() -> text | nil': 'nil at the end.',
    'io.args() -> table': 'What stood on the command line.',
  },
}

import { AppError, Tagged, msgpackCodec, codecVersion, isAppError } from '@daruma/protocol'
import { parse as parseYaml, stringify as stringifyYaml } from 'yaml'
import type { HostValue, LuaValue } from '../../engine.ts'
import { errorObject, isErrorObject } from '../../error-object.ts'
import { HostObject, hostClass, toData } from '../../value.ts'
import { bytesOf, invalid, isString, requireText, textOf } from './args.ts'
import { jsonText } from './json-text.ts'
import type { Session } from '../../session.ts'

export const payloadFormats = {
  JSON: 'json/plain',
  YAML: 'yaml/plain',
  STRING: 'text/plain',
  BYTES: 'application/octet-stream',
  MSGPACK: 'application/msgpack',
  LUA: 'lua/any',
  GOLANG: 'golang/any',
  ERROR: 'golang/error',
} as const

export type PayloadFormat = (typeof payloadFormats)[keyof typeof payloadFormats]

/** A value and the form in which it is held. */
export interface PayloadState {
  readonly format: PayloadFormat
  /** Lua forms: the value, in Lua's hands or as data. Encoded forms: text or bytes. */
  readonly content: HostValue
}

export type Payload = HostObject<PayloadState>

export const payloadTag = 'lua.payload'

export const payloadClass = hostClass<PayloadState>({
  name: 'payload',
  methods: {
    data: (self, ctx) => [decoded(self.state, ctx.local as Session)],
    unmarshal: (self, ctx) => [decoded(self.state, ctx.local as Session)],
    get_format: (self) => [self.state.format],
    transcode: (self, ctx, [format]) => {
      const target = requireText(format, 'transcode: format')
      if (!isFormat(target)) {
        return [
          undefined,
          errorObject(
            invalid(`transcode: unknown format "${target}"; known: ${Object.values(payloadFormats).join(', ')}`),
          ),
        ]
      }
      try {
        return [transcode(self.state, target, ctx.local as Session)]
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        const problem = `cannot transcode ${self.state.format} to ${target}: ${why}`
        return [
          undefined,
          errorObject(new AppError('internal', problem, undefined, { retryable: false, cause: error })),
        ]
      }
    },
  },
  tostring: (self) => `payload(${self.state.format})`,
  toData: (self) => new Tagged(payloadTag, { format: self.state.format, content: dataOf(self.state.content) }),
})

export const isPayload = (value: unknown): value is Payload => HostObject.is(value, payloadClass)

const isFormat = (text: string): text is PayloadFormat => (Object.values(payloadFormats) as string[]).includes(text)

export function payloadOf(content: HostValue): Payload {
  const isError = isErrorObject(content) || isAppError(content)
  return new HostObject(payloadClass, { format: isError ? payloadFormats.ERROR : payloadFormats.LUA, content })
}

/** Content that may be in Lua's hands, as data. */
function dataOf(content: HostValue): unknown {
  if (content === null || typeof content !== 'object') return content
  const isLua = content instanceof HostObject || ('kind' in content && isHandle(content.kind))
  return isLua ? toData(content as LuaValue) : content
}

const isHandle = (kind: unknown): boolean => kind === 'table' || kind === 'function' || kind === 'coroutine'

/** What is sent when a payload is: the value in it. */
export const unwrapped = (payload: Payload, session: Session): unknown => dataOf(decoded(payload.state, session))

function decoded({ format, content }: PayloadState, session: Session): HostValue {
  switch (format) {
    case 'json/plain':
      return JSON.parse(textOfContent(content))
    case 'yaml/plain':
      return parseYaml(textOfContent(content))
    case 'application/msgpack': {
      const bytes = bytesOfContent(content)
      return session.revive(msgpackCodec().decode(Buffer.concat([Buffer.of(codecVersion), bytes])))
    }
    default:
      return content
  }
}

function transcode(state: PayloadState, format: PayloadFormat, session: Session): Payload {
  if (state.format === format) return new HostObject(payloadClass, state)
  return new HostObject(payloadClass, { format, content: encoded(decoded(state, session), format) })
}

function encoded(content: HostValue, format: PayloadFormat): HostValue {
  switch (format) {
    case 'json/plain':
      return jsonText(dataOf(content))
    case 'yaml/plain':
      return stringifyYaml(dataOf(content))
    case 'application/msgpack':
      // The codec's version byte belongs to our wire, not to the format.
      return msgpackCodec().encode(dataOf(content)).subarray(1)
    case 'text/plain':
      return isString(content as LuaValue) ? textOf(content as string) : scalarText(content)
    case 'application/octet-stream':
      return new Uint8Array(
        isString(content as LuaValue) ? bytesOf(content as string) : Buffer.from(scalarText(content)),
      )
    case 'golang/error':
      return isErrorObject(content) ? content : errorObject(new AppError('unknown', scalarText(content)))
    case 'lua/any':
    case 'golang/any':
      return content
  }
}

function scalarText(content: HostValue): string {
  if (typeof content === 'string' || typeof content === 'number' || typeof content === 'boolean') return String(content)
  if (isErrorObject(content)) return content.state.message
  throw invalid('only text, numbers and booleans have a plain text form; use JSON or YAML')
}

const textOfContent = (content: HostValue): string => textOf(content as string | Uint8Array)
const bytesOfContent = (content: HostValue): Buffer => bytesOf(content as string | Uint8Array)

export function revivePayload(data: unknown): Payload {
  const { format, content } = data as PayloadState
  return new HostObject(payloadClass, { format, content })
}

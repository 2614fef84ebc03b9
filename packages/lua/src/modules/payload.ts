import { isPayload, payloadFormats, payloadOf } from './support/payload-object.ts'
import type { LuaModule } from './support/module.ts'

export const payloadModule: LuaModule = {
  name: 'payload',
  summary: 'Values together with the format that they are in.',
  deterministic: true,
  global: true,
  spec: {
    new: (_ctx, [value]) => [isPayload(value) ? value : payloadOf(value)],
    format: { ...payloadFormats },
  },
  docs: {
    'payload.new(value) -> payload': 'Wraps a value; of an error the format is ERROR, else LUA.',
    'payload.format': 'JSON, YAML, STRING, BYTES, MSGPACK, LUA, GOLANG, ERROR.',
    'payload:data(), payload:unmarshal() -> value': 'The value, decoded if need be.',
    'payload:get_format() -> text': 'One of payload.format.',
    'payload:transcode(format) -> payload | nil, error': 'The same value in another format.',
  },
}

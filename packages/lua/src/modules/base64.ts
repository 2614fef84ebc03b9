import { invalid, requireBytes, requireText } from './support/args.ts'
import { fallible, type LuaModule } from './support/module.ts'

const wellFormed = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

export const base64Module: LuaModule = {
  name: 'base64',
  summary: 'Standard Base64 (RFC 4648, with padding).',
  deterministic: true,
  spec: {
    encode: fallible((_ctx, [data]) => [requireBytes(data, 'encode: data').toString('base64')]),
    decode: fallible((_ctx, [text]) => {
      // Line breaks are the one thing that encoders put in between.
      const compact = requireText(text, 'decode: text').replace(/[\r\n]/g, '')
      if (!wellFormed.test(compact)) {
        const at = compact.search(/[^A-Za-z0-9+/=]/)
        throw invalid(
          at < 0 ? 'decode: wrong padding or length' : `decode: no base64 character at ${at + 1}: "${compact[at]}"`,
        )
      }
      return [new Uint8Array(Buffer.from(compact, 'base64'))]
    }),
  },
  docs: {
    'base64.encode(data) -> text | nil, error': 'Of bytes.',
    'base64.decode(text) -> bytes | nil, error': 'Invalid for anything that is not Base64.',
  },
}

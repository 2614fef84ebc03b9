import type { HostFunction } from '../engine.ts'
import { sessionOf } from '../session.ts'
import { invalid, isString, optional, requireBytes, requireText, textOf } from './support/args.ts'
import { digest } from './support/digest.ts'
import { fallible, type LuaModule } from './support/module.ts'
import {
  formatUuid,
  isUuid,
  parseUuid,
  stamped,
  unixSecondsOf,
  variantOf,
  version1,
  version7,
  versionOf,
} from './support/uuid-text.ts'

const named = (version: 3 | 5): HostFunction =>
  fallible((_ctx, [namespace, name]) => {
    const space = parseUuid(requireText(namespace, `v${version}: namespace`))
    const data = Buffer.concat([space, requireBytes(name, `v${version}: name`)])
    return [formatUuid(stamped(digest(version === 3 ? 'md5' : 'sha1', data), version))]
  })

export const uuidModule: LuaModule = {
  name: 'uuid',
  summary: 'Makes and reads UUIDs; in a workflow, the same ones on every replay.',
  deterministic: true,
  spec: {
    v1: (ctx) => {
      const session = sessionOf(ctx)
      return [formatUuid(version1(session.nowNanoseconds(), session.host.randomBytes(8)))]
    },
    v3: named(3),
    v4: (ctx) => [formatUuid(stamped(sessionOf(ctx).host.randomBytes(16), 4))],
    v5: named(5),
    v7: (ctx) => {
      const session = sessionOf(ctx)
      return [formatUuid(version7(session.nowNanoseconds() / 1_000_000n, session.host.randomBytes(10)))]
    },
    validate: (_ctx, [text]) => [isString(text) && isUuid(textOf(text))],
    version: fallible((_ctx, [text]) => [versionOf(parseUuid(requireText(text, 'version: uuid')))]),
    variant: fallible((_ctx, [text]) => [variantOf(parseUuid(requireText(text, 'variant: uuid')))]),
    parse: fallible((_ctx, [text]) => {
      const bytes = parseUuid(requireText(text, 'parse: uuid'))
      const version = versionOf(bytes)
      const timestamp = unixSecondsOf(bytes)
      return [
        {
          version,
          variant: variantOf(bytes),
          ...(timestamp === undefined ? {} : { timestamp }),
          ...(version === 1 ? { node: bytes.subarray(10).toString('hex') } : {}),
        },
      ]
    }),
    format: fallible((_ctx, [text, form]) => {
      const standard = formatUuid(parseUuid(requireText(text, 'format: uuid')))
      const wanted = optional(form, requireText, 'format: form') ?? 'standard'
      switch (wanted) {
        case 'standard':
          return [standard]
        case 'simple':
          return [standard.replaceAll('-', '')]
        case 'urn':
          return [`urn:uuid:${standard}`]
        default:
          throw invalid(`format: unknown form "${wanted}"; known: standard, simple, urn`)
      }
    }),
  },
  docs: {
    'uuid.v1() | v4() | v7() -> text': 'By time and node; random; sortable by time.',
    'uuid.v3(namespace, name), v5(namespace, name) -> text | nil, error': 'By MD5 or SHA-1 of a name.',
    'uuid.validate(value) -> boolean': 'Whether it is the text of a UUID.',
    'uuid.version(text) -> integer | nil, error': '',
    'uuid.variant(text) -> text | nil, error': 'RFC4122, Microsoft, NCS or Future.',
    'uuid.parse(text) -> {version, variant, timestamp?, node?} | nil, error': '',
    'uuid.format(text, "standard" | "simple" | "urn") -> text | nil, error': '',
  },
}

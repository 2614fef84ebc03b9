import type { HostFunction } from '../engine.ts'
import { optional, requireBytes, requireInteger, requireText } from './support/args.ts'
import { digest, fnv32, fnv64, hmac, pbkdf2, type DigestName } from './support/digest.ts'
import { fallible, type LuaModule } from './support/module.ts'

const shown = (bytes: Buffer, raw: unknown): string | Uint8Array =>
  raw === true ? new Uint8Array(bytes) : bytes.toString('hex')

const digestOf = (name: DigestName): HostFunction =>
  fallible((_ctx, [data, raw]) => [shown(digest(name, requireBytes(data, `${name}: data`)), raw)])

const hmacOf = (name: DigestName): HostFunction =>
  fallible((_ctx, [data, secret, raw]) => {
    const what = `hmac_${name}`
    return [shown(hmac(name, requireBytes(secret, `${what}: secret`), requireBytes(data, `${what}: data`)), raw)]
  })

/** The same in `hash` and in `crypto`. */
export const pbkdf2Function = fallible((_ctx, [password, salt, iterations, keyLength, hash]) => [
  new Uint8Array(
    pbkdf2(
      requireBytes(password, 'pbkdf2: password'),
      requireBytes(salt, 'pbkdf2: salt'),
      requireInteger(iterations, 'pbkdf2: iterations'),
      requireInteger(keyLength, 'pbkdf2: key length'),
      optional(hash, requireText, 'pbkdf2: hash') ?? 'sha256',
    ),
  ),
])

export const hashModule: LuaModule = {
  name: 'hash',
  summary: 'Digests, keyed digests and FNV hashes.',
  deterministic: true,
  spec: {
    md5: digestOf('md5'),
    sha1: digestOf('sha1'),
    sha256: digestOf('sha256'),
    sha512: digestOf('sha512'),
    hmac_md5: hmacOf('md5'),
    hmac_sha1: hmacOf('sha1'),
    hmac_sha256: hmacOf('sha256'),
    hmac_sha512: hmacOf('sha512'),
    fnv32: fallible((_ctx, [data]) => [fnv32(requireBytes(data, 'fnv32: data'))]),
    fnv64: fallible((_ctx, [data]) => [fnv64(requireBytes(data, 'fnv64: data'))]),
    pbkdf2: pbkdf2Function,
  },
  docs: {
    'hash.md5|sha1|sha256|sha512(data, raw?) -> text | nil, error': 'Hex, or the bytes when raw is true.',
    'hash.hmac_md5|hmac_sha1|hmac_sha256|hmac_sha512(data, secret, raw?) -> text | nil, error': 'Keyed.',
    'hash.fnv32(data) -> integer': 'FNV-1, 32 bits.',
    'hash.fnv64(data) -> integer | text': 'FNV-1, 64 bits; decimal text where a number would not be exact.',
    'hash.pbkdf2(password, salt, iterations, key_length, hash?) -> bytes | nil, error': 'sha256 unless "sha512".',
  },
}

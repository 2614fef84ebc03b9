import { AppError } from '@daruma/protocol'
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto'
import type { HostFunction, LuaValue } from '../engine.ts'
import { sessionOf, type Session } from '../session.ts'
import { toData } from '../value.ts'
import { invalid, optional, requireBytes, requireInteger, requireTable, requireText } from './support/args.ts'
import { pbkdf2Function } from './hash.ts'
import { hmac } from './support/digest.ts'
import { jsonText } from './support/json-text.ts'
import { fallible, type LuaModule } from './support/module.ts'
import { formatUuid, stamped } from './support/uuid-text.ts'

const maxRandomBytes = 1_048_576
const nonceBytes = 12
const tagBytes = 16
const alphanumeric = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'

function length(value: LuaValue, what: string): number {
  const count = requireInteger(value, what)
  if (count < 1 || count > maxRandomBytes) throw invalid(`${what} must be 1 to ${maxRandomBytes}, got ${count}`)
  return count
}

/** Each byte of the alphabet equally likely: numbers beyond the last full round are thrown away. */
function randomText(session: Session, count: number, alphabet: Buffer): Buffer {
  const out = Buffer.alloc(count)
  const fair = 256 - (256 % alphabet.length)
  let filled = 0
  while (filled < count) {
    for (const byte of session.host.randomBytes(count - filled)) {
      if (byte < fair) out[filled++] = alphabet[byte % alphabet.length]!
    }
  }
  return out
}

type Cipher = 'aes' | 'chacha20'

function cipherName(cipher: Cipher, key: Buffer): string {
  if (cipher === 'chacha20') {
    if (key.length !== 32) throw invalid(`key must have 32 bytes, got ${key.length}`)
    return 'chacha20-poly1305'
  }
  if (key.length !== 16 && key.length !== 24 && key.length !== 32) {
    throw invalid(`key must have 16, 24 or 32 bytes, got ${key.length}`)
  }
  return `aes-${key.length * 8}-gcm`
}

// The two families share one interface in Node, but not one type.
type AeadName = 'aes-256-gcm'

/** Nonce, then ciphertext, then tag. The nonce comes from the host, so that a workflow encrypts alike on replay. */
const encryptWith = (cipher: Cipher): HostFunction =>
  fallible((ctx, [data, secret, aad]) => {
    const key = requireBytes(secret, 'encrypt: key')
    const name = cipherName(cipher, key) as AeadName
    const plain = requireBytes(data, 'encrypt: data')
    const nonce = sessionOf(ctx).host.randomBytes(nonceBytes)
    const machine = createCipheriv(name, key, nonce, { authTagLength: tagBytes })
    const extra = optional(aad, requireBytes, 'encrypt: aad')
    if (extra !== undefined) machine.setAAD(extra, { plaintextLength: plain.length })
    const body = Buffer.concat([machine.update(plain), machine.final()])
    return [new Uint8Array(Buffer.concat([nonce, body, machine.getAuthTag()]))]
  })

const decryptWith = (cipher: Cipher): HostFunction =>
  fallible((_ctx, [data, secret, aad]) => {
    const key = requireBytes(secret, 'decrypt: key')
    const name = cipherName(cipher, key) as AeadName
    const sealed = requireBytes(data, 'decrypt: data')
    if (sealed.length < nonceBytes + tagBytes)
      throw invalid(`decrypt: ${sealed.length} bytes are too few to hold nonce and tag`)
    const body = sealed.subarray(nonceBytes, sealed.length - tagBytes)
    const machine = createDecipheriv(name, key, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes })
    machine.setAuthTag(sealed.subarray(sealed.length - tagBytes))
    const extra = optional(aad, requireBytes, 'decrypt: aad')
    if (extra !== undefined) machine.setAAD(extra, { plaintextLength: body.length })
    try {
      return [new Uint8Array(Buffer.concat([machine.update(body), machine.final()]))]
    } catch (error) {
      const message = 'decryption failed: wrong key, wrong additional data, or damaged text'
      throw new AppError('internal', message, undefined, { retryable: false, cause: error })
    }
  })

const hmacWith = (name: 'sha256' | 'sha512'): HostFunction =>
  fallible((_ctx, [secret, data]) => {
    const key = requireBytes(secret, `hmac.${name}: key`)
    if (key.length === 0) throw invalid(`hmac.${name}: key must not be empty`)
    return [hmac(name, key, requireBytes(data, `hmac.${name}: data`)).toString('hex')]
  })

const jwtDigests = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' } as const

function jwtSignature(algorithm: string, key: Buffer, text: string): Buffer {
  const digestName = jwtDigests[algorithm as keyof typeof jwtDigests]
  if (digestName !== undefined) return hmac(digestName, key, Buffer.from(text))
  if (algorithm === 'RS256') return sign('sha256', Buffer.from(text), createPrivateKey(key))
  throw unknownAlgorithm(algorithm)
}

const unknownAlgorithm = (algorithm: string): AppError =>
  invalid(`unknown algorithm "${algorithm}"; known: HS256, HS384, HS512, RS256`)

const part = (value: unknown): string => Buffer.from(jsonText(value)).toString('base64url')

const refused = (message: string): AppError => new AppError('internal', message, undefined, { retryable: false })

const jwtEncode: HostFunction = fallible((_ctx, [claims, secret, alg]) => {
  const { _header: extra, ...payload } = toData(requireTable(claims, 'jwt.encode: payload')) as Record<string, unknown>
  const key = requireBytes(secret, 'jwt.encode: key')
  if (key.length === 0) throw invalid('jwt.encode: key must not be empty')
  const algorithm = optional(alg, requireText, 'jwt.encode: algorithm') ?? 'HS256'
  // The algorithm is the caller's word alone, whatever the header table says.
  const header = { typ: 'JWT', ...(typeof extra === 'object' && extra !== null ? extra : {}), alg: algorithm }
  const text = `${part(header)}.${part(payload)}`
  return [`${text}.${jwtSignature(algorithm, key, text).toString('base64url')}`]
})

const jwtVerify: HostFunction = fallible((ctx, [token, secret, alg, requireExp]) => {
  const text = requireText(token, 'jwt.verify: token')
  const key = requireBytes(secret, 'jwt.verify: key')
  if (key.length === 0) throw invalid('jwt.verify: key must not be empty')
  const algorithm = optional(alg, requireText, 'jwt.verify: algorithm') ?? 'HS256'
  const [header = '', payload = '', signature = '', ...rest] = text.split('.')
  if (signature === '' || rest.length > 0) throw refused('token is malformed: it has not three parts')
  if (jsonPart(header)['alg'] !== algorithm) throw refused(`token is signed with another algorithm than ${algorithm}`)
  const signed = Buffer.from(`${header}.${payload}`)
  const given = Buffer.from(signature, 'base64url')
  // One signature has one spelling: stray characters at its end are not passed over.
  if (given.toString('base64url') !== signature) throw refused('token signature is malformed')
  const genuine =
    algorithm === 'RS256'
      ? verify('sha256', signed, createPublicKey(key), given)
      : sameBytes(jwtSignature(algorithm, key, signed.toString()), given)
  if (!genuine) throw refused('token signature is invalid')
  const claims = jsonPart(payload)
  const nowSeconds = sessionOf(ctx).host.nowMs() / 1_000
  const { exp, nbf } = claims
  if (exp === undefined && requireExp !== false) throw refused('token has no exp claim')
  if (exp !== undefined && !(typeof exp === 'number' && nowSeconds < exp)) throw refused('token is expired')
  if (nbf !== undefined && !(typeof nbf === 'number' && nowSeconds >= nbf)) throw refused('token is not valid yet')
  return [claims]
})

function jsonPart(encoded: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(encoded, 'base64url').toString('utf8'))
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Falls through: the same answer as for JSON that is no object.
  }
  throw refused('token is malformed: a part of it is no JSON object')
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b)

export const cryptoModule: LuaModule = {
  name: 'crypto',
  summary: 'Random values, encryption, signatures; in a workflow, the same random bytes on every replay.',
  deterministic: true,
  spec: {
    random: {
      bytes: fallible((ctx, [count]) => [
        new Uint8Array(sessionOf(ctx).host.randomBytes(length(count, 'random.bytes: length'))),
      ]),
      string: fallible((ctx, [count, charset]) => {
        const alphabet = optional(charset, requireBytes, 'random.string: charset') ?? Buffer.from(alphanumeric)
        if (alphabet.length === 0 || alphabet.length > 256)
          throw invalid('random.string: charset must have 1 to 256 bytes')
        return [new Uint8Array(randomText(sessionOf(ctx), length(count, 'random.string: length'), alphabet))]
      }),
      uuid: (ctx) => [formatUuid(stamped(sessionOf(ctx).host.randomBytes(16), 4))],
    },
    hmac: { sha256: hmacWith('sha256'), sha512: hmacWith('sha512') },
    encrypt: { aes: encryptWith('aes'), chacha20: encryptWith('chacha20') },
    decrypt: { aes: decryptWith('aes'), chacha20: decryptWith('chacha20') },
    jwt: { encode: jwtEncode, verify: jwtVerify },
    pbkdf2: pbkdf2Function,
    constant_time_compare: (_ctx, [a, b]) => [
      sameBytes(requireBytes(a, 'constant_time_compare: first'), requireBytes(b, 'constant_time_compare: second')),
    ],
  },
  docs: {
    'crypto.random.bytes(length) -> bytes | nil, error': '1 to 1,048,576.',
    'crypto.random.string(length, charset?) -> text | nil, error': 'Letters and digits unless said otherwise.',
    'crypto.random.uuid() -> text': 'Version 4.',
    'crypto.hmac.sha256|sha512(key, data) -> hex | nil, error': '',
    'crypto.encrypt.aes|chacha20(data, key, aad?) -> bytes | nil, error':
      'AES-GCM by key size, ChaCha20-Poly1305; the nonce comes first.',
    'crypto.decrypt.aes|chacha20(data, key, aad?) -> bytes | nil, error': '',
    'crypto.jwt.encode(claims, key, algorithm?) -> text | nil, error': 'HS256, HS384, HS512, RS256.',
    'crypto.jwt.verify(token, key, algorithm?, require_exp?) -> claims | nil, error':
      "exp and nbf by the program's clock.",
    'crypto.pbkdf2(password, salt, iterations, key_length, hash?) -> bytes | nil, error': '',
    'crypto.constant_time_compare(a, b) -> boolean': '',
  },
}

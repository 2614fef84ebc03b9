import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { invalid } from './args.ts'

export type DigestName = 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512'

export const digest = (name: DigestName, data: Uint8Array): Buffer => createHash(name).update(data).digest()

export const hmac = (name: DigestName, key: Uint8Array, data: Uint8Array): Buffer =>
  createHmac(name, key).update(data).digest()

/** FNV-1 (not 1a), 32 bits. */
export function fnv32(data: Uint8Array): number {
  let hash = 0x811c9dc5
  for (const byte of data) hash = Math.imul(hash, 0x01000193) ^ byte
  return hash >>> 0
}

/** FNV-1, 64 bits. */
export function fnv64(data: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n
  for (const byte of data) hash = BigInt.asUintN(64, hash * 0x100000001b3n) ^ BigInt(byte)
  return hash
}

const maxIterations = 10_000_000
const maxKeyBytes = 1_048_576

/** @throws AppError invalid - an empty password or salt, or numbers out of range */
export function pbkdf2(password: Buffer, salt: Buffer, iterations: number, keyBytes: number, hash: string): Buffer {
  if (password.length === 0) throw invalid('pbkdf2: password must not be empty')
  if (salt.length === 0) throw invalid('pbkdf2: salt must not be empty')
  if (iterations < 1 || iterations > maxIterations) {
    throw invalid(`pbkdf2: iterations must be 1 to ${maxIterations}, got ${iterations}`)
  }
  if (keyBytes < 1 || keyBytes > maxKeyBytes) {
    throw invalid(`pbkdf2: key length must be 1 to ${maxKeyBytes} bytes, got ${keyBytes}`)
  }
  if (hash !== 'sha256' && hash !== 'sha512') throw invalid(`pbkdf2: unknown hash "${hash}"; known: sha256, sha512`)
  return pbkdf2Sync(password, salt, iterations, keyBytes, hash)
}

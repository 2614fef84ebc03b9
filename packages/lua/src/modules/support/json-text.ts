import { invalid } from './args.ts'

const maxDepth = 128

/**
 * The JSON text of plain data. Bytes are read as UTF-8, a number that JSON has no word for (inf, nan) is null.
 *
 * @throws AppError invalid - what JSON cannot say, a cycle, or more than 128 levels
 */
export function jsonText(value: unknown, indent?: string): string {
  return JSON.stringify(plain(value, 0), undefined, indent) ?? 'null'
}

function plain(value: unknown, depth: number): unknown {
  if (depth > maxDepth) throw invalid(`nested more than ${maxDepth} levels`)
  if (value === undefined) return null
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8')
  if (value instanceof Error) return value.message
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1))
  const out: Record<string, unknown> = {}
  const entries = value instanceof Map ? value : Object.entries(value)
  for (const [key, item] of entries) out[String(key)] = plain(item, depth + 1)
  return out
}

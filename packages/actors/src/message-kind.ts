import { inspect } from 'node:util'

/** How a message is called in reports and errors: by its `kind`, `type` or `topic`, or by what it is. */
export function kindOf(message: unknown): string {
  if (typeof message === 'string') return `"${message.slice(0, 40)}"`
  if (typeof message !== 'object' || message === null) return inspect(message)
  const { kind, type, topic } = message as { kind?: unknown; type?: unknown; topic?: unknown }
  const name = kind ?? type ?? topic
  return typeof name === 'string' ? `"${name}"` : (message.constructor?.name ?? 'object')
}

/** A value in at most 80 characters, for an error's text. */
export function showShort(value: unknown): string {
  const text = inspect(value, { depth: 2, breakLength: Infinity })
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

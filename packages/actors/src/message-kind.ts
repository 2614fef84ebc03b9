import { inspect } from 'node:util'

/**
 * How a message is called in reports and errors: by its `kind`, `type` or `topic`, or by what it is. Never throws,
 * whatever the message does when it is looked at: a report must not be what breaks.
 */
export function kindOf(message: unknown): string {
  try {
    if (typeof message === 'string') return `"${message.slice(0, 40)}"`
    if (typeof message !== 'object' || message === null) return inspect(message)
    const { kind, type, topic } = message as { kind?: unknown; type?: unknown; topic?: unknown }
    const name = kind ?? type ?? topic
    return typeof name === 'string' ? `"${name}"` : String(message.constructor?.name ?? 'object')
  } catch {
    return 'object that cannot be read'
  }
}

/** A value in at most 80 characters, for an error's text. Never throws. */
export function showShort(value: unknown): string {
  let text: string
  try {
    text = inspect(value, { depth: 2, breakLength: Infinity })
  } catch {
    return 'a value that cannot be shown'
  }
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

/** Never throws: what cannot be asked for its `then` is no promise. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  if (typeof value !== 'object' || value === null) return false
  try {
    return typeof (value as { then?: unknown }).then === 'function'
  } catch {
    return false
  }
}

import { parseDurationMs, systemClock } from '@daruma/protocol'
import { usage } from '../failures.ts'

/** `{"a":1}`, `42`, `true` are JSON; what is not, is the text itself. What looks like JSON and is not, is a mistake. */
export function jsonOrText(word: string): unknown {
  try {
    return JSON.parse(word)
  } catch (error) {
    if (/^[[{"]/.test(word.trim())) throw usage(`not JSON: ${word} (${(error as Error).message})`)
    return word
  }
}

/** `name=value`, the value JSON or text. */
export function attribute(text: string): [string, unknown] {
  const at = text.indexOf('=')
  if (at <= 0) throw usage(`not an attribute: ${text}; write name=value`)
  return [text.slice(0, at), jsonOrText(text.slice(at + 1))]
}

/** An instant as a date ("2026-05-01", "2026-05-01T10:00:00Z"), or as a time ago ("2h"). */
export function instantMs(text: string): number {
  const atMs = Date.parse(text)
  if (!Number.isNaN(atMs) && /^\d{4}-/.test(text)) return atMs
  try {
    return systemClock().wallMs() - parseDurationMs(text)
  } catch {
    throw usage(`not an instant: ${text}; write a date such as 2026-05-01T10:00:00Z, or a time ago such as 2h`)
  }
}

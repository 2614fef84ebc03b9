import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

/**
 * What happened outside of every journal, one line each, in the order in which it was written. A line is one write to
 * a file opened for appending: it is whole, or it is not there, whoever dies when.
 */
export type LedgerLine =
  /** A life of a node owns a partition now: what it executes from here on, it executes in this epoch. */
  | { readonly kind: 'claim'; readonly life: string; readonly partition: string; readonly epoch: number }
  /** A function is about to act. */
  | {
      readonly kind: 'run'
      readonly life: string
      readonly key: string
      readonly attempt: number
      readonly atMs: number
    }
  /** A replay did not meet its journal, or the journal could not be read. */
  | { readonly kind: 'stuck'; readonly life: string; readonly workflow: string; readonly reason: string }

export interface Ledger {
  append(line: LedgerLine): void
  close(): void
}

export function openLedger(file: string): Ledger {
  const handle = openSync(file, 'a')
  return {
    append: (line) => void writeSync(handle, `${JSON.stringify(line)}\n`),
    close: () => closeSync(handle),
  }
}

export function readLedger(file: string): LedgerLine[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LedgerLine)
}

/** What the driver knows for certain: it was told so. */
export type Note =
  | { readonly kind: 'started'; readonly workflow: string; readonly type: string; readonly expected: Expected }
  | { readonly kind: 'sent'; readonly workflow: string; readonly messageId: string }
  /** The answer to a message was no: then it must not have been taken. */
  | { readonly kind: 'refused'; readonly workflow: string; readonly messageId: string; readonly reason: string }
  /** An answer that nothing explains. */
  | { readonly kind: 'strange'; readonly workflow: string; readonly reason: string }

/** How a workflow must have ended. Without a value: whatever its code answered. */
export interface Expected {
  readonly status: 'completed' | 'failed' | 'canceled' | 'terminated'
  readonly value?: unknown
  /** Its code read that many letters of each sender, in their order. */
  readonly letters?: Readonly<Record<string, number>>
}

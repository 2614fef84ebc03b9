import assert from 'node:assert/strict'
import { isAppError, type ErrorKind } from '../errors.ts'

/**
 * One sentence of a port's contract, as data. An adapter's test file is a loop:
 * `for (const { title, run } of logContract) test(title, () => run(harness))`.
 * Cases name their own partitions and keys, so that all of a suite may share one store; run each once per store.
 */
export interface ContractCase<Harness> {
  readonly title: string
  readonly run: (harness: Harness) => Promise<void>
}

/** How a suite gets at the adapter under test. */
export interface PortHarness<Port> {
  /** A new handle on the one store. Several may be open at once. */
  open(): Promise<Port>
  /** Ends every handle and brings the store back with what its durability promises. */
  restart(): Promise<void>
}

export async function assertRejects(promise: Promise<unknown>, kind: ErrorKind): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(isAppError(error, kind), `expected AppError ${kind}, found ${String(error)}`)
    return true
  })
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textOf = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes)

/** Names that a careless adapter would confuse, cut or refuse. */
export const awkwardNames: readonly string[] = [
  'a',
  'A',
  'a.b',
  'a/b',
  'a b',
  'a_b',
  'a-b',
  'a=b',
  '*',
  '>',
  '$SYS.x',
  '%2e',
  'ä',
  '日本',
  '🐢',
  '..',
  'x'.repeat(120),
]

import { entryBytes, slotBytes, tableBytes } from './table.ts'
import { tag } from './types.ts'
import type { LClosure, LuaState, TString, TValue, Table, Udata } from './types.ts'

/**
 * An estimate of what a process holds. Allocations are only added up; when the sum passes a mark, what can still be
 * reached is measured, as a collector would mark it, and the sum starts again from there. So garbage is never charged
 * for long, and a bomb is seen before it is large.
 */
export class Meter {
  readonly limitBytes: number
  #sum = 0
  #mark: number
  readonly #roots: () => Iterable<TValue | LuaState | Table>

  constructor(limitBytes: number, roots: () => Iterable<TValue | LuaState | Table>) {
    this.limitBytes = limitBytes
    this.#roots = roots
    this.#mark = Math.min(limitBytes, Math.max(limitBytes / 4, firstMark))
  }

  /** False: what is reachable exceeds the limit. */
  add(bytes: number): boolean {
    this.#sum += bytes
    return this.#sum <= this.#mark || this.#measure()
  }

  /** Allocated since the last measurement, and reachable then. An upper bound of what is held. */
  get bytes(): number {
    return this.#sum
  }

  #measure(): boolean {
    this.#sum = reachableBytes(this.#roots())
    // Not nearer than a sixteenth of the limit, or a process close to it would do nothing but measure.
    this.#mark = Math.max(Math.min(this.#sum * 2, this.limitBytes), this.#sum + this.limitBytes / 16)
    return this.#sum <= this.limitBytes
  }
}

const firstMark = 1024 * 1024
const closureBytes = 120
const threadBytes = 2_000
const stringBytes = 64

function reachableBytes(roots: Iterable<TValue | LuaState | Table>): number {
  const seen = new Set<object>()
  const waiting: object[] = []
  let bytes = 0
  const visit = (v: TValue | undefined): void => {
    if (v === undefined) return
    switch (v.type) {
      case tag.string:
      case tag.longString: {
        const text = v.value as TString
        if (seen.has(text)) return
        seen.add(text)
        bytes += stringBytes + text.realstring.length
        return
      }
      case tag.table:
      case tag.luaClosure:
      case tag.userdata:
      case tag.thread: {
        const object = v.value as object
        if (seen.has(object)) return
        seen.add(object)
        waiting.push(v)
      }
    }
  }
  const visitThread = (thread: LuaState): void => {
    bytes += threadBytes + slotBytes * thread.top
    for (let at = 0; at < thread.top; at++) visit(thread.stack[at])
  }
  const visitTable = (table: Table): void => {
    if (table.frozen) return
    bytes += tableBytes + slotBytes * table.array.length
    for (const value of table.array) visit(value)
    for (let entry = table.f; entry !== undefined; entry = entry.n) {
      bytes += entryBytes
      visit(entry.key)
      visit(entry.value)
    }
    if (table.metatable !== null && !seen.has(table.metatable)) {
      seen.add(table.metatable)
      visitTable(table.metatable)
    }
  }
  for (const root of roots) {
    if ('l_G' in root) {
      if (!seen.has(root)) {
        seen.add(root)
        visitThread(root)
      }
    } else if ('array' in root) {
      if (!seen.has(root)) {
        seen.add(root)
        visitTable(root)
      }
    } else visit(root)
  }
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const v = next as TValue
    switch (v.type) {
      case tag.table:
        visitTable(v.value as Table)
        break
      case tag.luaClosure:
        bytes += closureBytes
        for (const upvalue of (v.value as LClosure).upvals) {
          bytes += slotBytes
          visit(upvalue)
        }
        break
      case tag.thread:
        visitThread(v.value as LuaState)
        break
      case tag.userdata: {
        bytes += closureBytes
        const held = (v.value as Udata).data as { heldValues?: () => Iterable<TValue> } | null
        if (held?.heldValues !== undefined) for (const value of held.heldValues()) visit(value)
      }
    }
  }
  return bytes
}

import { tag } from './types.ts'
import type { Entry, Fengari, LuaState, StateOwner, TString, TValue, Table } from './types.ts'
import { toBytes } from './text.ts'

/**
 * Our tables for fengari's machine. Differences to its own:
 * - T1 `next` goes through t[1] .. t[#t] upwards, then through the other keys in the order of their insertion (a key
 *   that was removed and comes back goes to the end). A guarantee: workflows replay by it.
 * - T2 An array part: a list costs one slot per value, not a map entry with three objects.
 * - T3 A nil key is not an error on assignment: ignored, and the owner is told.
 * - T4 A frozen table refuses every write, by whatever road: assignment, rawset, table.insert.
 * - T5 Growth is reported to the owner of the state.
 */
export function makeTables(
  getString: () => Pick<Fengari['lstring'], 'luaS_hashlongstr'>,
  getObject: () => Fengari['lobject'],
  getDebug: () => Fengari['ldebug'],
): Fengari['ltable'] {
  // Shared by all tables without other keys; never written to (see `append`).
  const noEntries: Map<unknown, Entry> = new Map()
  const { luaS_hashlongstr } = getString()

  class LuaTable implements Table {
    id: number
    array: TValue[]
    strong: Map<unknown, Entry>
    f: Entry | undefined
    l: Entry | undefined
    dead: number
    metatable: Table | null
    flags: number
    frozen: boolean
    fromArray: boolean
    owner: StateOwner | undefined
    handle: unknown
    constructor(L: LuaState) {
      this.id = L.l_G.id_counter++
      this.array = []
      this.strong = noEntries
      this.f = undefined
      this.l = undefined
      this.dead = 0
      this.metatable = null
      this.flags = ~0
      this.frozen = false
      this.fromArray = false
      this.owner = L.l_G.owner
      this.handle = undefined
      this.owner?.allocated(undefined, tableBytes)
    }
  }

  const hashOf = (key: TValue): unknown =>
    (key.type & 0x0f) === tag.string ? luaS_hashlongstr(key.value as TString) : key.value

  const getHash = (t: Table, hash: unknown): TValue => {
    const entry = t.strong.get(hash)
    return entry === undefined ? getObject().luaO_nilobject : entry.value
  }

  const luaH_getint = (t: Table, key: number): TValue =>
    key > 0 && key <= t.array.length ? t.array[key - 1]! : getHash(t, key)

  const luaH_getstr = (t: Table, key: TString): TValue => getHash(t, luaS_hashlongstr(key))

  const luaH_get = (_L: LuaState, t: Table, key: TValue): TValue => {
    if ((key.type & 0x0f) === tag.number) {
      const n = key.value as number
      if (n > 0 && n <= t.array.length && Number.isInteger(n)) return t.array[n - 1]!
      if (n !== n) return getObject().luaO_nilobject
      return getHash(t, n)
    }
    if (key.type === tag.nil) return getObject().luaO_nilobject
    return getHash(t, hashOf(key))
  }

  const copy = (value: TValue): TValue => new (getObject().TValue)(value.type, value.value)

  const unlink = (t: Table, entry: Entry): void => {
    // One that `firstLive` has passed is in the map only.
    if (entry.p === entry) return
    if (entry.p === undefined) t.f = entry.n
    else entry.p.n = entry.n
    if (entry.n === undefined) t.l = entry.p
    else entry.n.p = entry.p
  }

  /** Drops the removed keys. Only on insertion, which a traversal may not do: `next` can rely on them until then. */
  const sweep = (t: Table): void => {
    t.f = t.l = undefined
    t.dead = 0
    // The map is in the order of the list: both are appended to, and a key that comes back is deleted first.
    for (const [hash, entry] of t.strong) {
      if (entry.value.type === tag.nil) {
        t.strong.delete(hash)
        continue
      }
      entry.p = t.l
      entry.n = undefined
      if (t.l === undefined) t.f = entry
      else t.l.n = entry
      t.l = entry
    }
  }

  const append = (t: Table, hash: unknown, key: TValue, value: TValue): void => {
    if (t.strong === noEntries) t.strong = new Map()
    else if (t.dead > 8 && t.dead > t.strong.size / 2) sweep(t)
    const entry: Entry = { key, value: copy(value), p: t.l, n: undefined }
    if (t.l === undefined) t.f = entry
    else t.l.n = entry
    t.l = entry
    t.strong.set(hash, entry)
    t.owner?.allocated(undefined, entryBytes)
  }

  /** Moves what follows the array part over from the map. */
  const migrate = (t: Table): void => {
    for (;;) {
      if (t.strong.size === 0) return
      const next = t.array.length + 1
      const entry = t.strong.get(next)
      if (entry === undefined || entry.value.type === tag.nil) return
      unlink(t, entry)
      t.strong.delete(next)
      t.array.push(entry.value)
    }
  }

  const isFree = (t: Table, from: number, to: number): boolean => {
    for (let key = from; key < to; key++) if (t.strong.has(key)) return false
    return true
  }

  const setNumber = (t: Table, key: number, value: TValue, mayLeaveGap: boolean): void => {
    const array = t.array
    const size = array.length
    if (key > 0 && key <= size && Number.isInteger(key)) {
      if (value.type !== tag.nil) return array[key - 1]!.setfrom(value)
      if (key < size) return array[key - 1]!.setnilvalue()
      array.length = size - 1
      while (array.length > 0 && array[array.length - 1]!.type === tag.nil) array.length--
      return
    }
    if (value.type === tag.nil) return remove(t, key)
    const known = t.strong.size === 0 ? undefined : t.strong.get(key)
    if (known !== undefined && known.value.type !== tag.nil) return known.value.setfrom(value)
    const mayGap = mayLeaveGap && key > size && key <= size + constructorBatch && isFree(t, size + 1, key)
    if (key === size + 1 || mayGap) {
      if (known !== undefined) {
        unlink(t, known)
        t.strong.delete(key)
        t.dead--
      }
      while (array.length < key - 1) array.push(new (getObject().TValue)(tag.nil, null))
      array.push(copy(value))
      t.owner?.allocated(undefined, slotBytes * (array.length - size))
      return migrate(t)
    }
    if (known !== undefined) {
      unlink(t, known)
      t.strong.delete(key)
      t.dead--
    }
    append(t, key, new (getObject().TValue)(tag.number, key === 0 ? 0 : key), value)
  }

  const remove = (t: Table, hash: unknown): void => {
    const entry = t.strong.get(hash)
    if (entry === undefined || entry.value.type === tag.nil) return
    entry.value.setnilvalue()
    t.dead++
  }

  const refuse = (L: LuaState): never => getDebug().luaG_runerror(L, toBytes('attempt to change a read-only table'))

  const luaH_setfrom = (L: LuaState, t: Table, key: TValue, value: TValue): void => {
    if (t.frozen) refuse(L)
    if ((key.type & 0x0f) === tag.number) {
      const n = key.value as number
      if (n !== n) getDebug().luaG_runerror(L, toBytes('table index is NaN'))
      return setNumber(t, n, value, false)
    }
    if (key.type === tag.nil) return L.l_G.owner?.nilKey(L)
    const hash = hashOf(key)
    if (value.type === tag.nil) return remove(t, hash)
    const known = t.strong.get(hash)
    if (known !== undefined) {
      if (known.value.type !== tag.nil) return known.value.setfrom(value)
      unlink(t, known)
      t.strong.delete(hash)
      t.dead--
    }
    append(t, hash, copy(key), value)
  }

  /** The constructor's road (values arrive last first) and rawseti's: small gaps stay in the array part. */
  const luaH_setint = (t: Table, key: number, value: TValue): void => setNumber(t, key, value, true)

  const luaH_getn = (t: Table): number => t.array.length

  const luaH_next = (L: LuaState, t: Table, keyIndex: number): boolean => {
    const key = L.stack[keyIndex]!
    let index = 0
    let entry: Entry | undefined
    if (key.type !== tag.nil) {
      const n = (key.type & 0x0f) === tag.number ? (key.value as number) : 0
      if (n > 0 && n <= t.array.length && Number.isInteger(n)) {
        index = n
      } else {
        index = t.array.length
        const found = t.strong.get(hashOf(key))
        if (found !== undefined) entry = found.n
        // A list that is emptied while it is traversed shrinks below the key: the array part is over then.
        else if (n > 0 && Number.isInteger(n)) entry = t.f
        else getDebug().luaG_runerror(L, toBytes("invalid key to 'next'"))
        return answerEntry(L, entry, keyIndex)
      }
    }
    for (; index < t.array.length; index++) {
      const value = t.array[index]!
      if (value.type === tag.nil) continue
      key.type = tag.number
      key.value = index + 1
      L.stack[keyIndex + 1]!.setfrom(value)
      return true
    }
    return answerEntry(L, firstLive(t), keyIndex)
  }

  /**
   * Removed keys at the head are passed only once, or `while next(t)` would be quadratic. They keep their own link
   * forwards, for a traversal that stands on one.
   */
  const firstLive = (t: Table): Entry | undefined => {
    while (t.f !== undefined && t.f.value.type === tag.nil) {
      const passed: Entry = t.f
      t.f = passed.n
      passed.p = passed
    }
    if (t.f === undefined) t.l = undefined
    else t.f.p = undefined
    return t.f
  }

  const answerEntry = (L: LuaState, from: Entry | undefined, keyIndex: number): boolean => {
    let entry = from
    while (entry !== undefined && entry.value.type === tag.nil) entry = entry.n
    if (entry === undefined) return false
    L.stack[keyIndex]!.setfrom(entry.key)
    L.stack[keyIndex + 1]!.setfrom(entry.value)
    return true
  }

  return {
    Table: LuaTable,
    luaH_new: (L) => new LuaTable(L),
    luaH_get,
    luaH_getint,
    luaH_getstr,
    luaH_setfrom,
    luaH_setint,
    luaH_getn,
    luaH_next,
    invalidateTMcache(t) {
      t.flags = 0
    },
  }
}

/** How far apart the values of one table constructor may arrive (LFIELDS_PER_FLUSH). */
const constructorBatch = 50

/** Estimates for 64-bit V8. */
export const tableBytes = 160
export const entryBytes = 136
export const slotBytes = 40

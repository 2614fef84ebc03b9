import { createRequire } from 'node:module'
import { makeTables } from './table.ts'
import { maxExact, numberText, parseNumber } from './number.ts'
import { bytesEqual, fromBytes, fromLatin1, toBytes, toLatin1 } from './text.ts'
import { status, tag } from './types.ts'
import type { Fengari, Instruction, LuaState, TString, TValue } from './types.ts'

const resultNames = [
  'defs',
  'lapi',
  'ldo',
  'lstate',
  'lobject',
  'ltable',
  'ltm',
  'lvm',
  'ldebug',
  'lstring',
  'lopcodes',
] as const

function load(): Fengari {
  const require = createRequire(import.meta.url)
  const root = require.resolve('fengari/package.json').replace(/package\.json$/, '')
  const original = Object.keys(require.cache).filter((file) => file.startsWith(root))
  const stashed = original.map((file) => [file, require.cache[file]] as const)
  for (const file of original) delete require.cache[file]
  try {
    const open = (name: string): Record<string, unknown> => require(`fengari/src/${name}.js`) as Record<string, unknown>
    // The order matters: these read nothing that a later patch replaces, and are read by all that follow.
    open('defs')
    patchConfiguration(open('luaconf'))
    patchRemainder(open('llimits'))
    const lstring = open('lstring')
    patchStrings(lstring)
    // All that is left is one ring of imports; its members meet through module objects, not through copies.
    open('lapi')
    const parts = Object.fromEntries(resultNames.map((name) => [name, open(name)])) as unknown as Fengari
    patchNumbers(parts)
    patchTables(parts)
    patchBitwise(parts)
    patchHook(parts)
    patchMetamethodNames(parts)
    return parts
  } finally {
    for (const file of Object.keys(require.cache)) if (file.startsWith(root)) delete require.cache[file]
    for (const [file, module] of stashed) if (module !== undefined) require.cache[file] = module
  }
}

type Exports = Record<string, unknown>

/** Recursion ends at 65,536 slots (135 ms instead of 630); names of programs are shown whole up to 250 bytes. */
function patchConfiguration(luaconf: Exports): void {
  luaconf['LUAI_MAXSTACK'] = 65_536
  luaconf['LUA_IDSIZE'] = 250
  // Defect 3: integral floats print without `.0`, as integers do; there is one kind of number.
  luaconf['LUA_COMPAT_FLOATSTRING'] = true
  luaconf['lua_number2str'] = numberText
  luaconf['lua_integer2str'] = numberText
  // Defect 3: no number counts as 32-bit integer inside the machine. What asks for one (bitwise operators) then goes
  // through luaT_trybinTM, where 64 bits are to be had.
  luaconf['lua_numbertointeger'] = () => false
}

/** Defect 3: `m * b < 0` loses its sign to underflow, and -5 % inf must be inf, not nan. */
function patchRemainder(llimits: Exports): void {
  llimits['luai_nummod'] = (_L: LuaState, a: number, b: number): number => {
    const m = a % b
    return m !== 0 && m < 0 !== b < 0 ? m + b : m
  }
}

/**
 * Defect 1: the hash joined bytes as unpadded hex, and equality, order and table keys all hang on it. One character
 * per byte is injective, orders as the bytes do, and is a tenth of the work.
 * Also the one place where every string of the machine is born: counted and bounded here.
 */
function patchStrings(lstring: Exports): void {
  const TStringClass = lstring['TString'] as Fengari['lstring']['TString']
  const luaS_hash = (bytes: Uint8Array): string => `|${toLatin1(bytes)}`
  const luaS_hashlongstr = (s: TString): string => (s.hash ??= luaS_hash(s.realstring))
  const luaS_bless = (L: LuaState, bytes: Uint8Array): TString => {
    L.l_G.owner?.allocated(L, bytes.length + stringBytes)
    return new TStringClass(L, bytes)
  }
  Object.assign(lstring, {
    luaS_hash,
    luaS_hashlongstr,
    luaS_eqlngstr: (a: TString, b: TString): boolean => a === b || bytesEqual(a.realstring, b.realstring),
    luaS_bless,
    // Not an arrow: fengari calls it with `new` in one place.
    luaS_new: function (L: LuaState, bytes: Uint8Array) {
      return luaS_bless(L, Uint8Array.from(bytes))
    },
    luaS_newliteral: (L: LuaState, text: string) => luaS_bless(L, toBytes(text)),
  })
}

/**
 * Defect 3: integers are 32 bits wide and wrap. Here no value ever is of the integer variant: literals, lengths, loop
 * counters and keys are doubles, exact up to 2^53, and arithmetic on them cannot wrap.
 */
function patchNumbers({ lobject, lstring }: Fengari): void {
  const TValueClass = lobject.TValue as unknown as { prototype: Record<string, unknown> }
  TValueClass.prototype['setivalue'] = TValueClass.prototype['setfltvalue']
  lobject.luaO_str2num = (bytes, into) => {
    const text = fromBytes(bytes)
    const value = text === undefined ? undefined : parseNumber(text)
    if (value === undefined) return 0
    into.type = tag.number
    into.value = value
    return bytes.length + 1
  }
  lobject.luaO_tostring = (L, value) => {
    const bytes = fromLatin1(numberText(value.value as number))
    L.l_G.owner?.allocated(L, bytes.length + stringBytes)
    value.type = tag.longString
    value.value = new lstring.TString(null, bytes)
  }
}

/** Defect 4 and the isolation of shared libraries: see table.ts. */
function patchTables(parts: Fengari): void {
  Object.assign(
    parts.ltable,
    makeTables(
      () => parts.lstring,
      () => parts.lobject,
      () => parts.ldebug,
    ),
  )
}

/** Defect 3, bitwise operators: on 64-bit two's complement; a result beyond 2^53 is rounded as every such number is. */
function patchBitwise({ ltm, lvm, ldebug }: Fengari): void {
  const original = ltm.luaT_trybinTM
  const { TM_BAND, TM_BOR, TM_BXOR, TM_SHL, TM_SHR, TM_BNOT } = ltm.TMS as Record<string, number>
  const operations = new Map<number | undefined, (a: bigint, b: bigint) => bigint>([
    [TM_BAND, (a, b) => a & b],
    [TM_BOR, (a, b) => a | b],
    [TM_BXOR, (a, b) => a ^ b],
    [TM_SHL, shiftLeft],
    [TM_SHR, (a, b) => shiftLeft(a, -b)],
    [TM_BNOT, (a) => ~a],
  ])
  ltm.luaT_trybinTM = (L, left, right, into, event) => {
    const operation = operations.get(event)
    if (operation !== undefined) {
      const a = lvm.tonumber(left)
      const b = lvm.tonumber(right)
      if (a !== false && b !== false) {
        const from = Number.isInteger(a) ? b : a
        if (!Number.isInteger(a) || !Number.isInteger(b) || Math.abs(a) > 2 ** 64 || Math.abs(b) > 2 ** 64) {
          ldebug.luaG_runerror(L, toBytes(`number ${numberText(from)} has no integer representation`))
        }
        into.type = tag.number
        into.value = Number(BigInt.asIntN(64, operation(BigInt.asIntN(64, BigInt(a)), BigInt(b))))
        return
      }
    }
    original(L, left, right, into, event)
  }
}

function shiftLeft(a: bigint, by: bigint): bigint {
  if (by <= -64n || by >= 64n) return 0n
  const unsigned = BigInt.asUintN(64, a)
  return by >= 0n ? unsigned << by : unsigned >> -by
}

/**
 * Defect 2 and budgets: the count hook, straight into the owner of the state. The original goes through luaD_hook and
 * `allowhook`, which lua_pcallk spoils: after the first error that was caught in a coroutine, hooks were off for good.
 * Also the bound of `a .. b .. c ...`: its buffer is allocated before any string of the machine is born.
 */
function patchHook({ ldebug, ldo, lopcodes }: Fengari): void {
  const concat = lopcodes.OpCodesI['OP_CONCAT']
  const vararg = lopcodes.OpCodesI['OP_VARARG']
  ldebug.luaG_traceexec = (L) => {
    const ci = L.ci
    const instruction = ci.l_code[ci.l_savedpc - 1]!
    const { opcode } = instruction
    if (opcode === concat) {
      if (instruction.C - instruction.B > 2) boundConcat(L, instruction)
    } else if (opcode === vararg && instruction.B === 0) {
      // Copies all of them: up to the whole stack by one instruction.
      const count = ci.l_base - ci.funcOff - 1
      if (count > 64) L.hookcount -= Math.min(count, L.hookcount - 1)
    }
    if (--L.hookcount > 0) return
    L.hookcount = L.basehookcount
    const owner = L.l_G.owner
    if (owner === undefined || !owner.onCount(L)) return
    // As lua_yield from within a hook, with the instruction to be executed again (and counted once).
    L.hookcount = L.basehookcount + 1
    L.status = status.yield
    ci.extra = ci.funcOff
    ci.l_savedpc--
    ci.funcOff = L.top - 1
    ci.func = L.stack[ci.funcOff]!
    ldo.luaD_throw(L, status.yield)
  }
  const boundConcat = (L: LuaState, { B, C }: Instruction): void => {
    const limit = L.l_G.owner?.stringLimit() ?? maxExact
    let bytes = 0
    for (let at = B; at <= C; at++) {
      const value = L.stack[L.ci.l_base + at] as TValue
      if ((value.type & 0x0f) === tag.string) bytes += (value.value as TString).realstring.length
    }
    if (bytes > limit) ldebug.luaG_runerror(L, toBytes(`string of ${bytes} bytes is too long (limit ${limit})`))
  }
}

/** One set of metamethod names for all states: 24 strings fewer for each process. */
function patchMetamethodNames({ ltm }: Fengari): void {
  const original = ltm.luaT_init
  let names: TString[] | undefined
  ltm.luaT_init = (L) => {
    if (names === undefined) {
      original(L)
      names = [...L.l_G.tmname]
    }
    L.l_G.tmname = names
  }
}

/** Bookkeeping of a string beside its bytes. */
const stringBytes = 64

/**
 * fengari 0.1.5 with our patches, in module instances of its own: another user of the package in the same process
 * keeps the original, whichever comes first. Patches replace exports before those load that read them; nothing of
 * fengari's text is changed. Each `patch` says which defect of LUA.md section 5 it mends; tests are in
 * test/patches.test.ts under the same numbers.
 */
export const fengari: Fengari = load()

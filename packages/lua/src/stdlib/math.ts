import { seededRng } from '@daruma/protocol'
import type { Rng } from '@daruma/protocol'
import { isIntegral } from '../fengari/number.ts'
import {
  arg,
  argCount,
  argError,
  checkAny,
  checkInteger,
  checkNumber,
  copyOf,
  isNumber,
  isString,
  makeBoolean,
  makeNil,
  makeNumber,
  makeText,
  returnAll,
  returnOne,
} from '../fengari/native.ts'
import { numberText } from '../fengari/number.ts'
import { fengari } from '../fengari/load.ts'
import { procOf } from '../fengari/shared.ts'
import type { FengariProc } from '../fengari/proc.ts'
import type { LuaState, NativeFunction } from '../fengari/types.ts'

/** `math`. A number is an integer when its value is one (within 2^53): LUA.md section 3, item 7. */

const unary =
  (f: (n: number) => number): NativeFunction =>
  (L) =>
    returnOne(L, makeNumber(f(checkNumber(L, 1))))

/** The generator of a process: seeded from its ports once, so that a workflow draws the same numbers again. */
function generator(proc: FengariProc): Rng {
  proc.random ??= seededRng(String(proc.ports.random()))
  return proc.random as Rng
}

function extreme(L: LuaState, better: (a: number, b: number) => boolean): number {
  let best = checkNumber(L, 1)
  for (let at = 2; at <= argCount(L); at++) {
    const n = checkNumber(L, at)
    if (better(n, best)) best = n
  }
  return returnOne(L, makeNumber(best))
}

export const mathLibrary: Readonly<Record<string, NativeFunction | number>> = {
  pi: Math.PI,
  huge: Infinity,
  maxinteger: Number.MAX_SAFE_INTEGER,
  mininteger: Number.MIN_SAFE_INTEGER,
  abs: unary(Math.abs),
  ceil: unary(Math.ceil),
  floor: unary(Math.floor),
  sqrt: unary(Math.sqrt),
  sin: unary(Math.sin),
  cos: unary(Math.cos),
  tan: unary(Math.tan),
  asin: unary(Math.asin),
  acos: unary(Math.acos),
  exp: unary(Math.exp),
  deg: unary((n) => (n * 180) / Math.PI),
  rad: unary((n) => (n * Math.PI) / 180),
  atan: (L) => returnOne(L, makeNumber(Math.atan2(checkNumber(L, 1), argCount(L) < 2 ? 1 : checkNumber(L, 2)))),
  pow: (L) => returnOne(L, makeNumber(checkNumber(L, 1) ** checkNumber(L, 2))),
  fmod: (L) => returnOne(L, makeNumber(checkNumber(L, 1) % checkNumber(L, 2))),
  log(L) {
    const n = checkNumber(L, 1)
    if (argCount(L) < 2) return returnOne(L, makeNumber(Math.log(n)))
    const base = checkNumber(L, 2)
    if (base === 2) return returnOne(L, makeNumber(Math.log2(n)))
    return returnOne(L, makeNumber(base === 10 ? Math.log10(n) : Math.log(n) / Math.log(base)))
  },
  max: (L) => extreme(L, (a, b) => a > b),
  min: (L) => extreme(L, (a, b) => a < b),
  modf(L) {
    const n = checkNumber(L, 1)
    const whole = Math.trunc(n)
    return returnAll(L, [makeNumber(whole), makeNumber(Number.isFinite(n) ? n - whole : 0)])
  },
  tointeger(L) {
    const value = arg(L, 1)
    const n = isNumber(value) ? (value.value as number) : isString(value) ? fengari.lvm.tonumber(value) : false
    return returnOne(L, n !== false && isIntegral(n) ? makeNumber(n) : makeNil())
  },
  type(L) {
    const value = copyOf(checkAny(L, 1))
    if (!isNumber(value)) return returnOne(L, makeNil())
    return returnOne(L, makeText(L, isIntegral(value.value as number) ? 'integer' : 'float'))
  },
  ult(L) {
    const unsigned = (i: number): bigint => BigInt.asUintN(64, BigInt(checkInteger(L, i)))
    return returnOne(L, makeBoolean(unsigned(1) < unsigned(2)))
  },
  random(L) {
    const rng = generator(procOf(L))
    if (argCount(L) === 0) return returnOne(L, makeNumber(rng.next()))
    const low = argCount(L) === 1 ? 1 : checkInteger(L, 1)
    const high = checkInteger(L, argCount(L) === 1 ? 1 : 2)
    if (argCount(L) > 2) return argError(L, 3, 'wrong number of arguments')
    if (low > high) return argError(L, argCount(L) === 1 ? 1 : 2, 'interval is empty')
    return returnOne(L, makeNumber(low + Math.floor(rng.next() * (high - low + 1))))
  },
  randomseed(L) {
    procOf(L).random = seededRng(numberText(checkNumber(L, 1)))
    return 0
  },
}

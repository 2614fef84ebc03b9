import { bytesOf, fail, isNumber, isString, makeConstant, makeText, metafield, typeName } from '../fengari/native.ts'
import type { Flow } from '../fengari/native.ts'
import { numberText } from '../fengari/number.ts'
import { addressText, procOf } from '../fengari/shared.ts'
import { forPeople } from '../fengari/text.ts'
import { tag } from '../fengari/types.ts'
import type { LuaState, TValue } from '../fengari/types.ts'

const tostringField = makeConstant('__tostring')
const nameField = makeConstant('__name')

/** `tostring(v)` as a string value. A `__tostring` may block. */
export function* tostringFlow(L: LuaState, v: TValue): Flow {
  if (isString(v)) return [v]
  if (isNumber(v)) return [makeText(L, numberText(v.value as number))]
  if (v.type === tag.nil) return [makeText(L, 'nil')]
  if (v.type === tag.boolean) return [makeText(L, v.value === true ? 'true' : 'false')]
  const method = metafield(L, v, tostringField)
  if (method !== undefined) {
    const [text] = yield { kind: 'call', fn: method, args: [v] }
    if (text === undefined || !isString(text)) return fail(L, "'__tostring' must return a string")
    return [text]
  }
  return [makeText(L, plainText(L, v))]
}

/** Without metamethods, but with `__name`. */
export function plainText(L: LuaState, v: TValue): string {
  const name = metafield(L, v, nameField)
  const kind = name !== undefined && isString(name) ? forPeople(bytesOf(name)) : typeName(v)
  return `${kind}: ${addressText(procOf(L).idOf(v.value as object & { id?: number }))}`
}

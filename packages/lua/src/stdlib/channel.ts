import { HostObject, hostClass } from '../value.ts'
import type { AnyHostObject } from '../value.ts'
import { FengariChannel } from '../fengari/channel.ts'
import type { Waiter } from '../fengari/channel.ts'
import { fengari } from '../fengari/load.ts'
import {
  answerParked,
  arg,
  argError,
  argCount,
  checkTable,
  copyOf,
  fail,
  isFalse,
  makeBoolean,
  makeNil,
  makeTable,
  makeText,
  makeUserdata,
  optInteger,
  park,
  returnAll,
  returnOne,
  typeError,
} from '../fengari/native.ts'
import type { Answer } from '../fengari/native.ts'
import { procOf } from '../fengari/shared.ts'
import { tag } from '../fengari/types.ts'
import type { LuaState, NativeFunction, TValue, Udata } from '../fengari/types.ts'

/** `channel.new`, `channel.select`, and the methods of channels: LUA.md 2.3. Semantics of one channel: ../fengari/channel.ts. */

interface CaseState {
  readonly channel: FengariChannel
  readonly direction: 'send' | 'receive'
  readonly value: TValue | undefined
}

const caseClass = hostClass<CaseState>({ name: 'channel.case' })

class SelectCase extends HostObject<CaseState> {
  /** For the measurement of memory. */
  heldValues(): Iterable<TValue> {
    return this.state.value === undefined ? [] : [this.state.value]
  }
}

function channelArg(L: LuaState, i: number): FengariChannel {
  const v = arg(L, i)
  if (v.type === tag.userdata && (v.value as Udata).data instanceof FengariChannel) {
    const channel = (v.value as Udata).data as FengariChannel
    if (channel.proc === procOf(L)) return channel
    return argError(L, i, 'a channel of another process')
  }
  return typeError(L, i, 'channel')
}

const object = (L: LuaState, value: AnyHostObject): TValue => makeUserdata(procOf(L).userdata(value))

export const channelMethods: Readonly<Record<string, NativeFunction>> = {
  send(L) {
    const channel = channelArg(L, 1)
    const value = arg(L, 2)
    if (channel.trySend(L, value)) return returnOne(L, makeBoolean(true))
    return park(L, () => channel.awaitTaker(value), undefined, answerParked)
  },
  receive(L) {
    const channel = channelArg(L, 1)
    const received = channel.tryReceive()
    if (received !== undefined) return returnAll(L, received)
    return park(L, () => channel.awaitValue(), undefined, answerParked)
  },
  close(L) {
    channelArg(L, 1).close()
    return 0
  },
  case_send(L) {
    const channel = channelArg(L, 1)
    const made = new SelectCase(caseClass, { channel, direction: 'send', value: copyOf(arg(L, 2)) })
    return returnOne(L, object(L, made))
  },
  case_receive(L) {
    const channel = channelArg(L, 1)
    const made = new SelectCase(caseClass, { channel, direction: 'receive', value: undefined })
    return returnOne(L, object(L, made))
  },
}

export const channelLibrary: Readonly<Record<string, NativeFunction>> = {
  new(L) {
    const capacity = optInteger(L, 1, 0)
    if (capacity < 0) argError(L, 1, 'capacity must not be negative')
    const made = new FengariChannel(procOf(L), capacity, undefined)
    return returnOne(L, object(L, made))
  },
  select(L) {
    const { cases, hasDefault } = selectArguments(L)
    for (const { state } of cases) {
      const { channel, direction, value } = state
      if (direction === 'send') {
        if (channel.canSend()) {
          channel.trySend(L, value!)
          return returnOne(L, selected(L, channel, makeNil(), true))
        }
        continue
      }
      const received = channel.tryReceive()
      if (received !== undefined) return returnOne(L, selected(L, channel, received[0], received[1].value === true))
    }
    if (hasDefault) {
      const result = new fengari.ltable.Table(L)
      setText(L, result, 'default', makeBoolean(true))
      setText(L, result, 'ok', makeBoolean(true))
      return returnOne(L, makeTable(result))
    }
    return park(L, () => waitForAny(L, cases), undefined, answerParked)
  },
}

/** A table of cases, or the cases themselves as arguments. */
function selectArguments(L: LuaState): { cases: SelectCase[]; hasDefault: boolean } {
  const cases: SelectCase[] = []
  const add = (v: TValue, at: number): void => {
    const data = v.type === tag.userdata ? (v.value as Udata).data : undefined
    if (!(data instanceof SelectCase)) {
      fail(L, `select: case ${at} is not made by ch:case_send or ch:case_receive`)
    } else {
      if (data.state.channel.proc !== procOf(L)) fail(L, `select: case ${at} is of another process`)
      cases.push(data)
    }
  }
  if (argCount(L) > 0 && arg(L, 1).type === tag.userdata) {
    for (let at = 1; at <= argCount(L); at++) add(arg(L, at), at)
    return { cases, hasDefault: false }
  }
  const table = checkTable(L, 1)
  // Holes are left out, so that a case may be nil by condition.
  table.array.forEach((v, at) => {
    if (v.type !== tag.nil) add(v, at + 1)
  })
  const flag = fengari.ltable.luaH_get(L, table, makeText(L, 'default'))
  return { cases, hasDefault: !isFalse(flag) }
}

function waitForAny(L: LuaState, cases: readonly SelectCase[]): void {
  const proc = procOf(L)
  const task = proc.running()
  // No case: nothing but the end of the process can end this wait.
  if (cases.length === 0) return task.waitOn('channel')
  const group: Waiter[] = []
  for (const { state } of cases) group.push({ task, ...state, group, answer: selectAnswer(proc.L) })
  for (const waiter of group) waiter.channel.enqueue(waiter)
}

const selectAnswer =
  (L: LuaState) =>
  (waiter: Waiter, value: TValue, ok: boolean): Answer => ({ values: [selected(L, waiter.channel, value, ok)] })

function selected(L: LuaState, channel: FengariChannel, value: TValue, ok: boolean): TValue {
  const result = new fengari.ltable.Table(L)
  setText(L, result, 'channel', object(L, channel))
  setText(L, result, 'value', value)
  setText(L, result, 'ok', makeBoolean(ok))
  return makeTable(result)
}

function setText(L: LuaState, table: ReturnType<typeof checkTable>, key: string, value: TValue): void {
  fengari.ltable.luaH_setfrom(L, table, makeText(L, key), value)
}

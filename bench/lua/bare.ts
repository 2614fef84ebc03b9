import { createRequire } from 'node:module'

/** What of fengari the floors use: no budgets, hooks, isolation or deterministic order. */
export interface Bare {
  readonly lua: Library
  readonly lauxlib: Library
  readonly lualib: Library
  to_luastring(text: string): Uint8Array
}

type Library = Record<string, (...args: never[]) => unknown>

export const bare = createRequire(import.meta.resolve('@daruma/lua'))('fengari') as Bare

export const call = (library: Library, name: string, ...args: unknown[]): unknown =>
  (library[name] as (...all: unknown[]) => unknown)(...args)

/** A state in which threads can be made of a chunk that is compiled once. */
export function bareState(): unknown {
  const L = call(bare.lauxlib, 'luaL_newstate')
  call(bare.lualib, 'luaL_openlibs', L)
  call(bare.lua, 'lua_pushcfunction', L, (l: unknown) => call(bare.lua, 'lua_yield', l, 0))
  call(bare.lua, 'lua_setglobal', L, bare.to_luastring('await'))
  return L
}

/** A thread that runs `text`, up to its first `await()`. */
export function bareThread(L: unknown, chunk: number): unknown {
  const thread = call(bare.lua, 'lua_newthread', L)
  call(bare.lua, 'lua_pushvalue', L, chunk)
  call(bare.lua, 'lua_xmove', L, thread, 1)
  call(bare.lua, 'lua_resume', thread, null, 0)
  return thread
}

/** Leaves the compiled text on the stack; returns its index. */
export function bareChunk(L: unknown, text: string): number {
  call(bare.lauxlib, 'luaL_loadstring', L, bare.to_luastring(text))
  return call(bare.lua, 'lua_gettop', L) as number
}

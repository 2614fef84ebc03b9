import { expect, test } from 'vitest'
import { topLevelRequires } from '../src/requires.ts'

test.each([
  ['local json = require("json")', [{ name: 'json', line: 1 }]],
  [
    "\n\nlocal a = require 'a'\nlocal b = require('b').c",
    [
      { name: 'a', line: 3 },
      { name: 'b', line: 4 },
    ],
  ],
  ['--[[ require("x")\n]] local y = require("y")', [{ name: 'y', line: 2 }]],
  ['-- require("x")\nlocal s = [[ require("z") ]]', []],
  ['local s = "require(\\"x\\")"', []],
  ['local function f() return require("x") end', []],
  ['local ok = pcall(function() return require("x") end)\nlocal m = require("m")', [{ name: 'm', line: 2 }]],
  ['if x then require("x") elseif y then require("y") else require("z") end require("t")', [{ name: 't', line: 1 }]],
  ['for i = 1, 2 do require("x") end while true do require("y") end repeat require("z") until true', []],
  ['loader.require("x") loader:require("y")', []],
  ['pcall(require, "x")', []],
  ['require(name)', []],
])('in %j the requires that always run are %j', (source, found) => {
  expect(topLevelRequires(source)).toEqual(found)
})

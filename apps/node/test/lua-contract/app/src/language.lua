local check = require("check")
local json = require("json")
local time = require("time")
local cases = {}

cases["string functions, as methods too"] = function()
  check.eq({ string.find("a.b", ".", 1, true) }, { 2, 2 })
  check.eq(("abc"):match("b(.)"), "c")
  local words = {}
  for word in string.gmatch("one two", "%a+") do table.insert(words, word) end
  check.eq(words, { "one", "two" })
  check.eq(("aXbX"):gsub("X", "-"), "a-b-")
  check.eq(("hello"):sub(2, -2), "ell")
  check.eq(string.format("%d %5.2f %s %q %x", 42, 1.5, "s", "q", 255), '42  1.50 s "q" ff')
  check.eq(("ab"):rep(3, "-"), "ab-ab-ab")
  check.eq(("x"):byte(), 120)
end

cases["table functions"] = function()
  local t = { 3, 1, 2 }
  table.sort(t)
  check.eq(t, { 1, 2, 3 })
  table.insert(t, 4)
  check.eq(table.remove(t, 1), 1)
  check.eq(table.concat(t, ","), "2,3,4")
  check.eq(#table.create(4, 0), 0)
  check.eq({ table.unpack({ 1, 2 }) }, { 1, 2 })
end

cases["whole numbers print whole and survive"] = function()
  check.eq(tostring(42), "42")
  check.eq(tostring(1700000000 * 1000), "1700000000000")
  check.eq(string.format("%d", 1700000000000), "1700000000000")
  check.eq(json.encode({ id = 1700000000000 }), '{"id":1700000000000}')
  check.eq(tostring(json.decode("[42]")[1]), "42")
  check.eq(math.floor(3.7), 3)
  check.eq(tostring(math.floor(3.7)), "3")
  check.ok(1 == 1.0)
  check.eq(tostring(10 / 2), "5")
end

cases["pairs and ipairs run in order of insertion"] = function()
  local keys = {}
  for k in pairs({ "a", "b", "c" }) do table.insert(keys, k) end
  check.eq(keys, { 1, 2, 3 })
end

cases["typed Lua is erased, and a type checks at run time"] = function()
  type Order = { id: string, count: number, note?: string }
  local function total(order: Order, price: number): number
    return order.count * price
  end
  local order: Order = { id = "a", count = 2 }
  check.eq(total(order, 3), 6)
  check.ok(Order:is(order))
  local value, err = Order:is({ id = "a" })
  check.eq(value, nil)
  check.finds(tostring(err), "count")
end

cases["conversions are callable"] = function()
  check.eq(string(42), "42")
  check.eq(integer("42"), 42)
  check.eq(number("1.5"), 1.5)
  check.eq(boolean("true"), true)
  check.eq(pcall(integer, "x"), false)
  check.eq(string.upper("x"), "X")
end

cases["a nil key is ignored when assigned"] = function()
  local t = {}
  t[nil] = 1
  check.eq(next(t), nil)
end

cases["require gives modules and imports; the undeclared fails by name"] = function()
  check.ok(require("json") == json)
  check.ok(require("process") == process)
  local ok, err = pcall(require, "store")
  check.eq(ok, false)
  check.finds(tostring(err), "store")
  ok, err = pcall(require, "nothing_like_it")
  check.finds(tostring(err), "module 'nothing_like_it' not found")
  check.ok(_G.check == check)
end

cases["globals are the process's own"] = function()
  leaked = (leaked or 0) + 1
  check.eq(leaked, 1)
end

return check.runner(cases)

local check = require("check")
local funcs = require("funcs")
local time = require("time")
local cases = {}
local host = "contract:host"

cases["a call is a process of its own, with its entry's id and its own pid"] = function()
  local seen = check.ok(funcs.call("contract:f.identity"))
  check.eq(seen.id, "contract:f.identity")
  check.ok(seen.pid ~= process.pid())
  check.ok(string.match(seen.pid, "^{.+@.+|.+}$"), seen.pid)
end

cases["a call can be monitored, sent to, and answers with its first value"] = function()
  local future = check.ok(funcs.async("contract:f.ret", 1, 2))
  check.eq(future:response():receive():data(), 1)
end

cases["a second value that is text fails the call and drops the first"] = function()
  local err = check.fails(errors.UNKNOWN, funcs.call("contract:f.fails_text"))
  check.eq(tostring(err), "plain text")
end

cases["a second value that is an error object fails with its kind, retryable and details"] = function()
  local err = check.fails(errors.CONFLICT, funcs.call("contract:f.fails"))
  check.eq(err:message(), "out of stock")
  check.eq(err:retryable(), true)
  check.eq(err:details(), { sku = "a" })
end

cases["an error raised in a coroutine fails the process"] = function()
  local err = check.fails(errors.INTERNAL, process.exec("contract:raises_in_coroutine", host))
  check.finds(tostring(err), "from a coroutine")
end

cases["coroutines of a main that returned die silently"] = function()
  check.eq(process.exec("contract:ret", host, "x"), "x")
end

cases["blocked with nothing that could wake it is a deadlock error"] = function()
  local err = check.fails(errors.INTERNAL, funcs.call("contract:f.deadlock"))
  check.finds(tostring(err), "deadlock")
end

cases["a subscription counts as wakeable"] = function()
  local pid = check.ok(process.spawn_monitored("contract:collect", host))
  time.sleep("20ms")
  check.ok(process.send(pid, "end"))
  check.event(process.events(), process.event.EXIT, pid)
end

cases["tables, bytes, numbers, booleans, errors, times, durations and payloads travel as copies"] = function()
  local bytes = "\0\1\255 text"
  local sent = {
    list = { 1, 2, 3 },
    map = { a = { b = true } },
    bytes = bytes,
    int = 42,
    float = 1.5,
    big = 1700000000000,
    err = errors.new({ message = "inner", kind = errors.TIMEOUT }),
    at = time.unix(10, 5),
    pause = time.parse_duration("1m30s"),
  }
  local got = check.ok(funcs.call("contract:f.ret", sent))
  check.eq(got.list, sent.list)
  check.eq(got.map, sent.map)
  check.eq(got.bytes, bytes)
  check.eq(tostring(got.int), "42")
  check.eq(got.float, 1.5)
  check.eq(tostring(got.big), "1700000000000")
  check.eq(got.err:kind(), errors.TIMEOUT)
  check.eq(got.at:unix_nano(), sent.at:unix_nano())
  check.eq(got.pause:seconds(), 90)
  got.list[1] = 99
  check.eq(sent.list[1], 1)
  check.eq(funcs.call("contract:f.ret", payload.new({ x = 1 })), { x = 1 })
  check.eq(funcs.call("contract:f.ret", nil), nil)
  check.eq(funcs.call("contract:f.ret", false), false)
end

cases["functions do not travel"] = function()
  check.fails(errors.INVALID, funcs.call("contract:f.ret", function() end))
  check.fails(errors.INVALID, process.send(process.pid(), "t", { f = print }))
end

cases["a pid is a destination with and without braces"] = function()
  local pid = check.ok(process.spawn("contract:echo", host))
  local answers = process.listen("hi")
  check.ok(process.send(pid, "hi", 1))
  check.ok(process.send(string.sub(pid, 2, -2), "hi", 2))
  check.eq(check.receive(answers), 1)
  check.eq(check.receive(answers), 2)
  process.terminate(pid)
end

return check.runner(cases)

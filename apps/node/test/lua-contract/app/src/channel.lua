local check = require("check")
local time = require("time")
local funcs = require("funcs")
local cases = {}

cases["an unbuffered send blocks until it is taken"] = function()
  local ch = channel.new()
  local order = {}
  coroutine.spawn(function()
    ch:send("v")
    table.insert(order, "sent")
  end)
  time.sleep("5ms")
  table.insert(order, "before")
  local value, ok = ch:receive()
  check.eq({ value, ok }, { "v", true })
  time.sleep("1ms")
  check.eq(order, { "before", "sent" })
end

cases["a buffered send does not block"] = function()
  local ch = channel.new(2)
  ch:send(1)
  ch:send(2)
  check.eq(ch:receive(), 1)
  check.eq(ch:receive(), 2)
end

cases["a closed channel is drained, then nil, false; sending raises; closing again is fine"] = function()
  local ch = channel.new(1)
  ch:send("last")
  ch:close()
  ch:close()
  local value, ok = ch:receive()
  check.eq({ value, ok }, { "last", true })
  value, ok = ch:receive()
  check.eq(value, nil)
  check.eq(ok, false)
  check.eq(pcall(function() ch:send(1) end), false)
end

cases["close wakes all who wait"] = function()
  local ch = channel.new()
  local done = channel.new(3)
  for i = 1, 3 do
    coroutine.spawn(function()
      local _, ok = ch:receive()
      done:send(ok)
    end)
  end
  time.sleep("2ms")
  ch:close()
  for i = 1, 3 do check.eq(done:receive(), false) end
end

cases["select takes ready cases in order and says which channel"] = function()
  local a, b = channel.new(1), channel.new(1)
  a:send("a")
  b:send("b")
  local got = channel.select { b:case_receive(), a:case_receive() }
  check.ok(got.channel == b)
  check.eq(got.value, "b")
  check.eq(got.ok, true)
  got = channel.select { b:case_receive(), a:case_receive() }
  check.ok(got.channel == a)
end

cases["select with default does not wait"] = function()
  local got = channel.select { channel.new():case_receive(), default = true }
  check.eq(got.default, true)
  check.eq(got.ok, true)
end

cases["select can send"] = function()
  local ch = channel.new(1)
  local got = channel.select { ch:case_send("x") }
  check.ok(got.channel == ch)
  check.eq(ch:receive(), "x")
end

cases["select on a closed channel gives ok = false"] = function()
  local ch = channel.new()
  ch:close()
  local got = channel.select { ch:case_receive() }
  check.eq(got.ok, false)
end

cases["a timeout wins a select"] = function()
  local ch = channel.new()
  local timeout = time.after("5ms")
  local got = channel.select { ch:case_receive(), timeout:case_receive() }
  check.ok(got.channel == timeout)
end

cases["everything that blocks works inside pcall, in iterators and in any coroutine"] = function()
  local ok, value = pcall(function()
    time.sleep("1ms")
    return (funcs.call("contract:f.ret", "called"))
  end)
  check.eq({ ok, value }, { true, "called" })

  local function each(n)
    return function(_, i)
      if i < n then
        time.sleep("1ms")
        return i + 1
      end
    end, nil, 0
  end
  local seen = {}
  for i in each(3) do table.insert(seen, i) end
  check.eq(seen, { 1, 2, 3 })

  local done = channel.new()
  coroutine.spawn(function()
    pcall(function()
      pcall(function()
        done:send(process.exec("contract:ret", "contract:host", "deep"))
      end)
    end)
  end)
  check.eq(done:receive(), "deep")

  local co = coroutine.wrap(function()
    coroutine.yield(funcs.call("contract:f.ret", 1))
    coroutine.yield(funcs.call("contract:f.ret", 2))
  end)
  check.eq(co(), 1)
  check.eq(co(), 2)
end

cases["coroutines of a process run concurrently"] = function()
  local results = channel.new(10)
  local started = time.now()
  for i = 1, 10 do
    coroutine.spawn(function()
      time.sleep("30ms")
      results:send(i)
    end)
  end
  local sum = 0
  for _ = 1, 10 do sum = sum + results:receive() end
  check.eq(sum, 55)
  check.ok(time.now():sub(started):milliseconds() < 250)
end

return check.runner(cases)

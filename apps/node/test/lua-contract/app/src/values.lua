local check = require("check")
local time = require("time")
local ctx = require("ctx")
local events = require("events")
local security = require("security")
local funcs = require("funcs")
local cases = {}

cases["payload formats and transcoding"] = function()
  local f = payload.format
  check.eq({ f.JSON, f.YAML, f.STRING, f.BYTES, f.MSGPACK, f.LUA, f.GOLANG, f.ERROR }, {
    "json/plain", "yaml/plain", "text/plain", "application/octet-stream", "application/msgpack", "lua/any", "golang/any", "golang/error",
  })
  local p = payload.new({ a = 1 })
  check.eq(p:get_format(), f.LUA)
  check.eq(p:data(), { a = 1 })
  local json = check.ok(p:transcode(f.JSON))
  check.eq(json:get_format(), f.JSON)
  check.eq(json:data(), { a = 1 })
  check.eq(json:unmarshal(), { a = 1 })
  check.eq(payload.new("s"):data(), "s")
end

cases["time constants"] = function()
  check.eq({ time.NANOSECOND, time.MICROSECOND, time.MILLISECOND, time.SECOND }, { 1, 1000, 1000000, 1000000000 })
  check.eq(time.MINUTE, 60 * time.SECOND)
  check.eq(time.HOUR, 60 * time.MINUTE)
  check.eq({ time.JANUARY, time.DECEMBER, time.SUNDAY, time.SATURDAY }, { 1, 12, 0, 6 })
  check.ok(time.RFC3339 and time.RFC3339NANO and time.DATE_TIME and time.DATE_ONLY and time.TIME_ONLY)
end

cases["instants"] = function()
  local t = time.date(2024, time.FEBRUARY, 29, 13, 4, 5, 6, time.utc)
  check.eq({ t:date() }, { 2024, 2, 29 })
  check.eq({ t:clock() }, { 13, 4, 5 })
  check.eq({ t:year(), t:month(), t:day(), t:hour(), t:minute(), t:second(), t:nanosecond() }, { 2024, 2, 29, 13, 4, 5, 6 })
  check.eq(t:weekday(), 4)
  check.eq(t:year_day(), 60)
  check.eq(t:format(time.DATE_ONLY), "2024-02-29")
  check.eq(t:format_rfc3339(), "2024-02-29T13:04:05Z")
  check.eq(t:add("1h"):hour(), 14)
  check.eq(t:add(time.HOUR):hour(), 14)
  check.eq({ t:add_date(1, 0, 0):date() }, { 2025, 3, 1 })
  check.eq(t:add("90m"):sub(t):minutes(), 90)
  check.ok(t:before(t:add("1s")))
  check.ok(t:add("1s"):after(t))
  check.ok(t:equal(time.parse(time.RFC3339NANO, "2024-02-29T13:04:05.000000006Z")))
  check.eq(t:is_zero(), false)
  check.eq(t:truncate("1h"):minute(), 0)
  check.eq(t:round("1h"):hour(), 13)
  check.eq(time.unix(10, 0):unix(), 10)
  check.eq(tostring(t:utc():location()), "UTC")
  check.eq(t:in_location(time.fixed_zone("X", 3600)):hour(), 14)
  check.eq(time.load_location("Europe/Paris"):string(), "Europe/Paris")
  check.eq(t:in_location(time.load_location("Europe/Paris")):hour(), 14)
  check.ok(t:in_local())
  check.fails(errors.NOT_FOUND, time.load_location("No/Where"))
  check.fails(errors.INVALID, time.parse(time.RFC3339, "nonsense"))
end

cases["durations"] = function()
  local d = time.parse_duration("1h30m")
  check.eq({ d:hours(), d:minutes(), d:seconds(), d:milliseconds() }, { 1.5, 90, 5400, 5400000 })
  check.eq(tostring(d:milliseconds()), "5400000")
  check.ok(time.parse_duration("1h"):hours() == 1)
  check.fails(errors.INVALID, time.parse_duration("nonsense"))
end

cases["sleep, after, timer and ticker"] = function()
  local t0 = time.now()
  time.sleep("10ms")
  time.sleep(5 * time.MILLISECOND)
  check.ok(time.now():sub(t0):milliseconds() >= 14)
  local at = check.receive(time.after("5ms"))
  check.ok(at:unix() > 1600000000)
  local timer = time.timer("20ms")
  check.ok(timer:channel() == timer:response())
  check.eq(timer:stop(), true)
  check.silent(timer:channel(), "40ms")
  timer:reset("5ms")
  check.ok(check.receive(timer:response()))
  check.eq(timer:stop(), false)
  local ticker = time.ticker("5ms")
  for _ = 1, 3 do check.ok(check.receive(ticker:channel())) end
  ticker:stop()
end

cases["unix_nano makes unique names"] = function()
  local seen = {}
  for _ = 1, 100 do
    local name = "n" .. time.now():unix_nano()
    check.eq(seen[name], nil)
    seen[name] = true
  end
end

cases["ctx.get and ctx.all"] = function()
  check.fails(errors.INVALID, ctx.get(""))
  local err = check.fails(errors.NOT_FOUND, ctx.get("missing"))
  check.eq(err:retryable(), false)
  check.eq(type(ctx.all()), "table")
end

cases["events are sent to those whose patterns match"] = function()
  local all = check.ok(events.subscribe("orders.*"))
  local created = check.ok(events.subscribe("orders.eu", "order.(created|changed)"))
  check.eq(events.send("orders.eu", "order.created", "/orders/1", { n = 1 }), true)
  check.eq(check.receive(all:channel()), { system = "orders.eu", kind = "order.created", path = "/orders/1", data = { n = 1 } })
  check.eq(check.receive(created:channel()).kind, "order.created")
  events.send("orders.eu", "order.deleted", "/orders/1")
  check.eq(check.receive(all:channel()).kind, "order.deleted")
  check.silent(created:channel())
  events.send("orders", "x", "/p")
  check.silent(all:channel())
  all:close()
  created:close()
  events.send("orders.eu", "order.created", "/")
  check.fails(errors.INVALID, events.send("", "k", "p"))
  check.fails(errors.INVALID, events.send("s", "", "p"))
  check.fails(errors.INVALID, events.send("s", "k", ""))
  check.fails(errors.INVALID, events.subscribe(""))
end

cases["security: actors and scopes"] = function()
  check.eq(security.actor(), nil)
  check.eq(security.scope(), nil)
  local actor = security.new_actor("u1", { role = "admin" })
  check.eq(actor:id(), "u1")
  check.eq(actor:meta().role, "admin")
  local scope = security.new_scope()
  check.eq(scope:policies(), {})
end

cases["os"] = function()
  check.ok(os.time() > 1600000000)
  check.eq(os.date("!%Y-%m-%d", 0), "1970-01-01")
  check.ok(os.clock() >= 0)
  check.eq(os.difftime(5, 3), 2)
  check.eq(os.execute, nil)
  check.eq(os.exit, nil)
end

return check.runner(cases)

local check = require("check")
local time = require("time")
local funcs = require("funcs")
local security = require("security")
local cases = {}
local host = "contract:host"

local function events() return process.events() end

cases["id and pid are the same every time"] = function()
  check.eq(process.id(), "contract:cases.process")
  check.eq(process.pid(), process.pid())
end

cases["send takes values as a payload; several become an array, none nil"] = function()
  local inbox = process.inbox()
  check.eq(process.send(process.pid(), "one", { a = 1 }), true)
  process.send(process.pid(), "many", 1, "b", true)
  process.send(process.pid(), "none")
  local one = check.receive(inbox)
  check.eq(one:topic(), "one")
  check.eq(one:from(), process.pid())
  check.eq(one:payload():data(), { a = 1 })
  check.eq(one.a, 1)
  check.eq(check.receive(inbox):payload():data(), { 1, "b", true })
  local none = check.receive(inbox)
  check.eq(none:topic(), "none")
  check.eq(none:payload(), nil)
end

cases["topics are not empty and do not start with @"] = function()
  check.fails(errors.INVALID, process.send(process.pid(), ""))
  check.fails(errors.INVALID, process.send(process.pid(), "@x"))
  check.fails(errors.INVALID, process.listen("@x"))
  check.fails(errors.INVALID, process.send(process.pid(), nil))
end

cases["a payload object is unwrapped"] = function()
  local ch = process.listen("p")
  process.send(process.pid(), "p", payload.new({ x = 1 }))
  check.eq(check.receive(ch), { x = 1 })
end

cases["send to an unknown pid or name is NotFound"] = function()
  local pid = check.ok(process.spawn_monitored("contract:ret", host))
  check.event(events(), process.event.EXIT, pid)
  local err = check.fails(errors.NOT_FOUND, process.send(pid, "t"))
  check.finds(tostring(err), "not found")
  local by_name = check.fails(errors.NOT_FOUND, process.send("nobody.here", "t"))
  check.eq(by_name:retryable(), false)
end

cases["spawn of an unknown entry or on an unknown host fails"] = function()
  check.fails(errors.NOT_FOUND, process.spawn("contract:nothing", host))
  check.fails(errors.NOT_FOUND, process.spawn("contract:ret", "contract:nothing"))
  check.fails(errors.INVALID, process.spawn("nothing", host))
  check.fails(errors.INVALID, process.spawn("contract:ret", ""))
end

cases["a host of one process refuses the second"] = function()
  local pid = check.ok(process.spawn_monitored("contract:echo", "contract:small"))
  check.fails(errors.RATE_LIMITED, process.spawn("contract:echo", "contract:small"))
  process.terminate(pid)
  check.event(events(), process.event.EXIT, pid)
  local second = check.ok(process.spawn("contract:echo", "contract:small"))
  process.terminate(second)
end

cases["a monitor gets EXIT with the value"] = function()
  local pid = check.ok(process.spawn_monitored("contract:ret", host, { n = 7 }))
  local event = check.event(events(), process.event.EXIT, pid)
  check.eq(event.result.value, { n = 7 })
  check.eq(event.result.error, nil)
  check.ok(event.at > 1600000000)
  check.eq(math.floor(event.at), event.at)
end

cases["a monitor gets EXIT with the error, kind and all"] = function()
  local pid = check.ok(process.spawn_monitored("contract:fails", host))
  local event = check.event(events(), process.event.EXIT, pid)
  check.eq(event.result.value, nil)
  check.eq(event.result.error:kind(), errors.CONFLICT)
  check.eq(event.result.error:retryable(), true)
  check.eq(event.result.error:details(), { sku = "a" })
  pid = check.ok(process.spawn_monitored("contract:raises", host))
  event = check.event(events(), process.event.EXIT, pid)
  check.eq(event.result.error:kind(), errors.INTERNAL)
  check.finds(tostring(event.result.error), "boom")
  check.finds(tostring(event.result.error), "actors.lua:")
end

cases["monitor of a pid that runs, and of one that is gone; unmonitor silences"] = function()
  local pid = check.ok(process.spawn("contract:echo", host))
  check.eq(process.monitor(pid), true)
  process.send(pid, "end")
  local event = check.event(events(), process.event.EXIT, pid)
  check.eq(event.result.value, "ended")

  pid = check.ok(process.spawn("contract:echo", host))
  check.ok(process.monitor(pid))
  check.eq(process.unmonitor(pid), true)
  process.send(pid, "end")
  check.silent(events())
end

cases["exec gives the result or the error"] = function()
  check.eq(process.exec("contract:ret", host, "v"), "v")
  local err = check.fails(errors.CONFLICT, process.exec("contract:fails", host))
  check.eq(err:retryable(), true)
  check.fails(errors.INTERNAL, process.exec("contract:raises", host))
  check.fails(errors.NOT_FOUND, process.exec("contract:nothing", host))
end

cases["terminate gives the target no chance; monitors see EXIT with an error"] = function()
  local pid = check.ok(process.spawn_monitored("contract:cancelable", host))
  check.eq(process.terminate(pid), true)
  local event = check.event(events(), process.event.EXIT, pid)
  check.eq(event.result.value, nil)
  check.ok(event.result.error)
  check.fails(errors.NOT_FOUND, process.terminate(pid))
end

cases["cancel is an event with a reason, and from"] = function()
  local pid = check.ok(process.spawn_monitored("contract:cancelable", host))
  check.eq(process.cancel(pid, "enough"), true)
  local event = check.event(events(), process.event.EXIT, pid)
  check.eq(event.result.value, "pid.cancel:enough")
end

cases["cancel is queued until events() is opened"] = function()
  local pid = check.ok(process.spawn_monitored("contract:late_cancel", host))
  time.sleep("10ms")
  check.ok(process.cancel(pid, "later"))
  time.sleep("10ms")
  check.ok(process.send(pid, "go"))
  local event = check.event(events(), process.event.EXIT, pid)
  check.eq(event.result.value.kind, process.event.CANCEL)
  check.eq(event.result.value.reason, "later")
  check.eq(event.result.value.from, process.pid())
end

cases["links are symmetric: the failure of one is the failure of the other"] = function()
  local a = check.ok(process.spawn_monitored("contract:echo", host))
  local linked = process.listen("linked")
  local b = check.ok(process.spawn_monitored("contract:linker", host, a, process.pid(), false))
  check.eq(check.receive(linked), { true })
  process.send(b, "ignored")
  process.terminate(b)
  local ended = {}
  for _ = 1, 2 do
    local event = check.event(events(), process.event.EXIT)
    ended[event.from] = event.result.error ~= nil
  end
  check.eq(ended, { [a] = true, [b] = true })
end

cases["a link's failure cascades to one that does not trap"] = function()
  local a = check.ok(process.spawn_monitored("contract:echo", host))
  local linked = process.listen("linked")
  local b = check.ok(process.spawn_monitored("contract:linker", host, a, process.pid(), false))
  check.receive(linked)
  process.send(a, "fail")
  local ended = {}
  for _ = 1, 2 do
    local event = check.event(events(), process.event.EXIT)
    ended[event.from] = event.result.error:message()
  end
  check.finds(ended[a], "told to fail")
  check.finds(ended[b], "told to fail")
end

cases["with trap_links a link's failure is LINK_DOWN with its error"] = function()
  local a = check.ok(process.spawn("contract:echo", host))
  local linked = process.listen("linked")
  local b = check.ok(process.spawn_monitored("contract:linker", host, a, process.pid(), true))
  check.receive(linked)
  process.send(a, "fail")
  local event = check.event(events(), process.event.EXIT, b)
  check.eq(event.result.value.kind, process.event.LINK_DOWN)
  check.eq(event.result.value.from, a)
  check.finds(event.result.value.error, "told to fail")
end

cases["a normal end tells links nothing"] = function()
  process.set_options({ trap_links = true })
  local pid = check.ok(process.spawn_linked("contract:ret", host, 1))
  check.silent(events())
  local failing = check.ok(process.spawn_linked("contract:raises", host))
  local event = check.event(events(), process.event.LINK_DOWN, failing)
  check.ok(event.result.error)
end

cases["unlink ends a link"] = function()
  process.set_options({ trap_links = true })
  local pid = check.ok(process.spawn_linked("contract:echo", host))
  check.eq(process.unlink(pid), true)
  process.terminate(pid)
  check.silent(events())
end

cases["linked and monitored gets both events"] = function()
  process.set_options({ trap_links = true })
  local pid = check.ok(process.spawn_linked_monitored("contract:raises", host))
  local first = check.receive(events())
  local second = check.receive(events())
  local kinds = { [first.kind] = true, [second.kind] = true }
  check.eq(kinds, { ["pid.exit"] = true, ["pid.link.down"] = true })
end

cases["link to one that is gone is NotFound"] = function()
  local pid = check.ok(process.spawn_monitored("contract:ret", host))
  check.event(events(), process.event.EXIT, pid)
  check.fails(errors.NOT_FOUND, process.link(pid))
end

cases["trap_links is off by default; unknown options are refused"] = function()
  check.eq(process.get_options(), { trap_links = false })
  check.eq(process.set_options({ trap_links = true }), true)
  check.eq(process.get_options(), { trap_links = true })
  local ok, err = process.set_options({ nonsense = 1 })
  check.eq(ok, false)
  check.eq(err:kind(), errors.INVALID)
end

cases["inbox, events and listeners are the identical objects every time"] = function()
  check.ok(process.inbox() == process.inbox())
  check.ok(process.events() == process.events())
  check.ok(process.listen("a") == process.listen("a"))
  check.ok(process.listen("a") ~= process.listen("b"))
end

cases["a topic goes to its listener, the rest to the inbox, the early is kept"] = function()
  process.send(process.pid(), "early", 1)
  process.send(process.pid(), "other", 2)
  local early = process.listen("early")
  check.eq(check.receive(early), 1)
  local inbox = process.inbox()
  check.eq(check.receive(inbox):topic(), "other")
  process.send(process.pid(), "early", 3)
  check.eq(check.receive(early), 3)
  check.silent(inbox)
end

cases["after unlisten, messages of the topic fall to the inbox"] = function()
  local inbox = process.inbox()
  local ch = process.listen("t")
  process.unlisten(ch)
  process.send(process.pid(), "t", 1)
  check.eq(check.receive(inbox):topic(), "t")
end

cases["listen with message gives messages"] = function()
  local ch = process.listen("t", { message = true })
  process.send(process.pid(), "t", { n = 1 })
  local msg = check.receive(ch)
  check.eq(msg:topic(), "t")
  check.eq(msg:from(), process.pid())
  check.eq(msg:payload():data().n, 1)
end

cases["a spawner carries context, actor, scope, name and startup messages, and is immutable"] = function()
  local base = process.with_context({ tenant = "t1" })
  local more = base:with_context({ user = "u1" })
  check.eq(process.exec("contract:context", host).all, {})
  local pid = check.ok(base:spawn_monitored("contract:context", host))
  check.eq(check.event(events(), process.event.EXIT, pid).result.value.all, { tenant = "t1" })
  pid = check.ok(more:spawn_monitored("contract:context", host))
  check.eq(check.event(events(), process.event.EXIT, pid).result.value.all, { tenant = "t1", user = "u1" })
  pid = check.ok(more:with_actor(security.new_actor("jane")):with_scope(security.new_scope()):spawn_monitored("contract:context", host))
  local value = check.event(events(), process.event.EXIT, pid).result.value
  check.eq(value.actor, "jane")
  check.eq(value.scope, true)
end

cases["startup messages come before anything sent later"] = function()
  local pid = check.ok(process.with_options({})
    :with_message("first", 1)
    :with_message("second", { x = 2 })
    :spawn_monitored("contract:collect", host))
  process.send(pid, "third", 3)
  process.send(pid, "end")
  local event = check.event(events(), process.event.EXIT, pid)
  check.eq(event.result.value, { { "first", 1 }, { "second", { x = 2 } }, { "third", 3 } })
end

cases["with_name registers before the process runs; a taken name fails"] = function()
  local named = process.with_options({}):with_name("contract.named.spawn")
  local pid = check.ok(named:spawn_monitored("contract:echo", host))
  check.eq(process.registry.lookup("contract.named.spawn"), pid)
  check.fails(errors.ALREADY_EXISTS, named:spawn("contract:echo", host))
  process.send("contract.named.spawn", "end")
  check.event(events(), process.event.EXIT, pid)
  check.fails(errors.NOT_FOUND, process.registry.lookup("contract.named.spawn"))
end

cases["names: register, lookup, send, again by the same pid, by another, unregister"] = function()
  local name = "contract.name." .. time.now():unix_nano()
  check.eq(process.registry.register(name), true)
  check.eq(process.registry.register(name), true)
  check.eq(process.registry.lookup(name), process.pid())
  local ch = process.listen("by_name")
  check.eq(process.send(name, "by_name", 1), true)
  check.eq(check.receive(ch), 1)
  local other = check.ok(process.spawn("contract:echo", host))
  check.fails(errors.ALREADY_EXISTS, process.registry.register(name, other))
  check.eq(process.registry.register(name .. ".other", other), true)
  check.eq(process.registry.lookup(name .. ".other"), other)
  check.eq(process.registry.unregister(name), true)
  check.eq(process.registry.unregister(name), false)
  check.fails(errors.NOT_FOUND, process.registry.lookup(name))
  process.terminate(other)
end

cases["names are released before EXIT is seen"] = function()
  for round = 1, 20 do
    local pid = check.ok(process.spawn_monitored("contract:named", host, "contract.released"))
    process.send(pid, "end")
    check.event(events(), process.event.EXIT, pid)
    local _, err = process.registry.lookup("contract.released")
    check.eq(err and err:kind(), errors.NOT_FOUND)
  end
end

cases["scopes of names are numbers and accepted"] = function()
  local r = process.registry
  check.eq({ r.LOCAL, r.EVENTUAL, r.CONSISTENT, r.STRONG }, { 0, 1, 2, 3 })
  for _, scope in ipairs({ r.LOCAL, r.EVENTUAL, r.CONSISTENT, r.STRONG }) do
    local name = "contract.scope." .. scope
    check.ok(r.register(name, process.pid(), scope))
    check.eq(r.lookup(name), process.pid())
    check.eq(r.unregister(name, scope), true)
  end
end

cases["event constants"] = function()
  check.eq(process.event, { CANCEL = "pid.cancel", EXIT = "pid.exit", LINK_DOWN = "pid.link.down" })
end

cases["upgrade keeps pid, mailbox, name, links and monitors"] = function()
  process.set_options({ trap_links = true })
  local news = process.listen("new")
  local pid = check.ok(process.spawn_linked_monitored("contract:upgrades", host, process.pid()))
  process.send(pid, "kept.one", 1)
  process.send(pid, "kept.two", 2)
  process.send(pid, "upgrade")
  local new = check.receive(news)
  check.eq(new, { from = "old", pid = pid, id = "contract:upgraded" })
  check.eq(process.registry.lookup("upgrading"), pid)
  process.send(pid, "after", 3)
  process.send(pid, "end")
  local event = check.event(events(), process.event.EXIT, pid)
  check.eq(event.result.value, { "kept.one", "kept.two", "after" })
end

cases["an upgraded process that fails still brings its links down"] = function()
  process.set_options({ trap_links = true })
  local news = process.listen("new")
  local pid = check.ok(process.spawn_linked("contract:upgrades", host, process.pid()))
  process.send(pid, "upgrade")
  check.receive(news)
  process.send(pid, "fail")
  local event = check.event(events(), process.event.LINK_DOWN, pid)
  check.finds(tostring(event.result.error), "upgraded failed")
end

cases["order per sender is kept"] = function()
  local pid = check.ok(process.spawn_monitored("contract:collect", host))
  for i = 1, 200 do process.send(pid, "n", i) end
  process.send(pid, "end")
  local seen = check.event(events(), process.event.EXIT, pid).result.value
  check.eq(#seen, 200)
  for i = 1, 200 do check.eq(seen[i][2], i) end
end

return check.runner(cases)
